#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prints the aarch64 instructions of one inference: the difference between 101 and 1 of them, over 100.
# Usage: count.sh ROOT MODEL [LIBRARY [KEY=VALUE ...]]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=${1:?usage: count.sh ROOT MODEL [LIBRARY [KEY=VALUE ...]]}
model=${2:?usage: count.sh ROOT MODEL [LIBRARY [KEY=VALUE ...]]}
shift 2
instructions_of() {
  COUNT_INSTRUCTIONS=1 "$here/run.sh" "$root" "$here/invoke.py" "$model" "$@" 2>&1 >/dev/null |
    awk '$1 == "instructions" { print $2; found = 1 } END { exit !found }'
}
one=$(instructions_of 1 "$@")
many=$(instructions_of 101 "$@")
echo $(((many - one) / 100))
