#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compiles one program as OpenCL C 1.2, warnings being errors: compile_test.sh FILE... -- "OPTIONS" ["OPTIONS"...],
# each with either storage. Private arrays must have gone into registers.
set -euo pipefail
command -v clang >/dev/null || { echo "clang is missing: install it (\`make setup\` does)" >&2; exit 1; }
files=()
while [[ $1 != -- ]]; do files+=("$1"); shift; done
shift
[[ $# -gt 0 ]]
for options in "$@"; do
  for half in 0 1; do
    echo "$options -D STORAGE_HALF=$half"
    # shellcheck disable=SC2086
    cat "${files[@]}" | clang -x cl -cl-std=CL1.2 -Xclang -finclude-default-header -target spir64-unknown-unknown \
      -O2 -S -emit-llvm -Wall -Wextra -Werror $options -D STORAGE_HALF=$half -o "$TEST_TMPDIR/program.ll" -
    if grep " = alloca " "$TEST_TMPDIR/program.ll"; then
      echo "a private array stays in memory" >&2
      exit 1
    fi
  done
done
