#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages of a list file. Where it may not (not Debian 12, or not root) it names what is missing and
# fails. Usage: system_packages.sh LIST
set -euo pipefail
list=${1:?usage: system_packages.sh LIST}

. /etc/os-release
if [[ ${ID:-} != debian || ${VERSION_ID:-} != 12 ]]; then
  missing=()
  for tool in bazel mvn javac aapt2 apksigner dexdump enjarify \
    g++ aarch64-linux-gnu-g++ arm-linux-gnueabi-g++ qemu-aarch64 clang-format unzip make git; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  for path in /usr/src/googletest /usr/include/benchmark /usr/share/bazel/rules/java; do
    [[ -e $path ]] || missing+=("$path")
  done
  [[ ${#missing[@]} -eq 0 ]] && exit 0
  echo "setup: packages are installed by themselves on Debian 12 only; this is ${PRETTY_NAME:-unknown}." >&2
  echo "setup: missing here: ${missing[*]}" >&2
  echo "setup: install what provides them (names of the Debian packages: $list), then run make again." >&2
  exit 1
fi

missing=()
while read -r package; do
  case $package in '' | '#'*) continue ;; esac
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done <"$list"
[[ ${#missing[@]} -eq 0 ]] && exit 0

if [[ $(id -u) -ne 0 ]]; then
  echo "setup: these Debian packages are missing, and only root can install them:" >&2
  echo "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q install --yes --no-install-recommends "${missing[@]}"
