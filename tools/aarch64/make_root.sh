#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unpacks an aarch64 Python with the real LiteRT into a folder, for qemu-user on an x86-64 Debian 12 machine.
# Usage: make_root.sh FOLDER. Does nothing where the folder is complete.
set -euo pipefail
mkdir -p "$1"
root=$(cd "$1" && pwd)
litert=$(sed -n 's/^ai-edge-litert==//p' "$(dirname "$0")/../../third_party/python-constraints.txt")
[[ -e $root/ready-$litert ]] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work"/{lists/partial,archives/partial,debs,wheels}
apt=(apt-get -q -oAPT::Architecture=arm64 -oAPT::Architectures=arm64 -oAPT::Sandbox::User=root
     -oDir::State::Lists="$work/lists" -oDir::Cache="$work" -oDir::State::status=/dev/null)
"${apt[@]}" update
(cd "$work/debs" && "${apt[@]}" download python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libgcc-s1 \
  libstdc++6 zlib1g libexpat1 libffi8 libssl3 libbz2-1.0 liblzma5 libsqlite3-0 libuuid1 libncursesw6 libtinfo6 \
  libreadline8 libdb5.3 libcrypt1 libnsl2 libtirpc3)
for package in "$work"/debs/*.deb; do dpkg -x "$package" "$root"; done

pip=(python3 -m pip download -q --disable-pip-version-check --no-deps -d "$work/wheels")
"${pip[@]}" --only-binary=:all: --python-version 3.11 --implementation cp --platform manylinux_2_28_aarch64 \
  --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 "ai-edge-litert==$litert" numpy
"${pip[@]}" flatbuffers
mkdir -p "$root/site"
for wheel in "$work"/wheels/*.whl; do unzip -q -o "$wheel" -d "$root/site"; done

# libtfprune asks for Android's library names; glibc answers under its own.
for name in libc.so:libc.so.6 libm.so:libm.so.6 libdl.so:libdl.so.2; do
  ln -sf "${name#*:}" "$root/lib/aarch64-linux-gnu/${name%:*}"
done
# LiteRT reads the processor here, and stops where it finds an x86 one; qemu's -L puts these files in their place.
mkdir -p "$root/proc" "$root/sys/devices/system/cpu"
: >"$root/proc/cpuinfo"
for cpu in 0 1; do
  printf 'processor\t: %s\nBogoMIPS\t: 50.00\nFeatures\t: %s\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0b\nCPU revision\t: 1\n\n' \
    "$cpu" "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs" \
    >>"$root/proc/cpuinfo"
done
for file in possible present online; do echo 0-1 >"$root/sys/devices/system/cpu/$file"; done
touch "$root/ready-$litert"
echo "aarch64 root ready: $root"
