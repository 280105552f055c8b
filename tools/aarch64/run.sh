#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a script with the aarch64 Python of a root made by make_root.sh, as a Cortex-A76 (dot product, no SVE, no i8mm).
# Usage: run.sh ROOT SCRIPT.py [ARGUMENTS]
set -euo pipefail
root=$(cd "$1" && pwd)
shift
exec qemu-aarch64 -L "$root" -cpu "${QEMU_CPU:-cortex-a76}" -E PYTHONPATH="$root/site" -E PYTHONHOME="$root/usr" \
  "$root/usr/bin/python3.11" "$@"
