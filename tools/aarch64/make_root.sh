#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unpacks an aarch64 Python 3.11 with LiteRT that qemu-user runs. Nothing is installed on this machine.
# Usage: make_root.sh DIRECTORY
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
constraints=$repository/third_party/python-constraints.txt
target=${1:?usage: make_root.sh DIRECTORY}
python=$repository/.venv/bin/python
[[ -x $python ]] || python=python3

recipe=$(cat "$0" "$here/packages.txt" "$constraints" | sha256sum | cut -d' ' -f1)
if [[ -e $target/recipe && $(cat "$target/recipe") == "$recipe" ]]; then
  echo "aarch64 root is up to date: $target"
  exit 0
fi
for tool in apt-get dpkg-deb qemu-aarch64 unzip; do
  command -v "$tool" >/dev/null || { echo "make_root.sh: $tool is missing: run make setup on Debian 12." >&2; exit 1; }
done

rm -rf "$target"
mkdir -p "$target"
target=$(cd "$target" && pwd)
work=$(mktemp -d "$target/work.XXXXXX")
mapfile -t debs < <(awk '$1 == "deb" { print $2 }' "$here/packages.txt")
mapfile -t wheels < <(awk '$1 == "wheel" { print $2 }' "$here/packages.txt")

# A package list of its own, so that this machine's apt never learns of another architecture.
mkdir -p "$work"/{lists/partial,cache/archives/partial,debs,wheels}
apt=(apt-get -q -oAPT::Architecture=arm64 -oAPT::Architectures=arm64 -oAPT::Sandbox::User=
  -oDir::State::Lists="$work/lists" -oDir::Cache="$work/cache" -oDir::State::status=/dev/null)
"${apt[@]}" update
(cd "$work/debs" && "${apt[@]}" download "${debs[@]}")
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$target"; done

"$python" -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 --implementation cp \
  --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64 \
  --platform manylinux2014_aarch64 --platform any -c "$constraints" -d "$work/wheels" "${wheels[@]}"
mkdir -p "$target/site"
for wheel in "$work"/wheels/*.whl; do unzip -q -o "$wheel" -d "$target/site"; done

# Android's libtfprune asks for Android's library names; here glibc answers to them.
libraries=$target/lib/aarch64-linux-gnu
ln -sf libc.so.6 "$libraries/libc.so"
ln -sf libm.so.6 "$libraries/libm.so"
ln -sf libdl.so.2 "$libraries/libdl.so"

# LiteRT reads the CPU from these files, which would otherwise be this machine's; qemu -L looks here first.
mkdir -p "$target/proc" "$target/sys/devices/system/cpu"
features="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs"
for cpu in 0 1; do
  printf 'processor\t: %d\nBogoMIPS\t: 50.00\nFeatures\t: %s\nCPU implementer\t: 0x41\nCPU architecture: 8\n' "$cpu" "$features"
  printf 'CPU variant\t: 0x3\nCPU part\t: 0xd0b\nCPU revision\t: 1\n\n'
done >"$target/proc/cpuinfo"
for file in possible present online; do echo 0-1 >"$target/sys/devices/system/cpu/$file"; done

rm -rf "$work"
echo "$recipe" >"$target/recipe"
echo "aarch64 root ready: $target"
