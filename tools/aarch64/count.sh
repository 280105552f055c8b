#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prints the aarch64 instructions of one inference: the difference between 101 and 1 of them, over 100.
# Usage: count.sh ROOT MODEL [LIBRARY [KEY=VALUE ...]]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=${1:?usage: count.sh ROOT MODEL [LIBRARY [KEY=VALUE ...]]}
model=${2:?usage: count.sh ROOT MODEL [LIBRARY [KEY=VALUE ...]]}
shift 2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
instructions_of() {
  if ! COUNT_INSTRUCTIONS=1 "$here/run.sh" "$root" "$here/invoke.py" "$model" "$@" >/dev/null 2>"$log"; then
    cat "$log" >&2
    return 1
  fi
  awk '$1 == "instructions" { print $2 }' "$log"
}
one=$(instructions_of 1 "$@")
many=$(instructions_of 101 "$@")
echo $(((many - one) / 100))
