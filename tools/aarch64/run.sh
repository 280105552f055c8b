#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a script with the aarch64 Python of a root made by make_root.sh. Usage: run.sh ROOT SCRIPT.py [ARGUMENTS]
# QEMU_CPU: the CPU (default cortex-a76). COUNT_INSTRUCTIONS=1: prints "instructions N" on standard error at the end.
# PYTHONPATH: more folders for the aarch64 Python.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "${1:?usage: run.sh ROOT SCRIPT.py [ARGUMENTS]}" && pwd)
shift
options=(-cpu "${QEMU_CPU:-cortex-a76}" -L "$root" -E "PYTHONHOME=$root/usr"
  -E "PYTHONPATH=$root/site${PYTHONPATH:+:$PYTHONPATH}" -E PYTHONDONTWRITEBYTECODE=1)
if [[ ${COUNT_INSTRUCTIONS:-0} == 1 ]]; then
  plugin=$root/libcount_instructions.so
  if [[ ! $plugin -nt $here/count_instructions.c ]]; then
    gcc -O2 -Wall -Wextra -Werror -shared -fPIC "$here/count_instructions.c" -o "$plugin"
  fi
  options+=(-plugin "$plugin")
fi
exec qemu-aarch64 "${options[@]}" "$root/usr/bin/python3.11" "$@"
