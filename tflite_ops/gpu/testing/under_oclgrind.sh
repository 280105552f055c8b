#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a command on Oclgrind, the only OpenCL driver it then finds, as a small device: work-groups of 256 and 32 KB of
# local memory. Accesses out of bounds, races and wrong calls fail it: under_oclgrind.sh COMMAND [ARGUMENT...]
set -euo pipefail
driver=/usr/lib/oclgrind/liboclgrind-rt-icd.so
[[ -e $driver ]] || { echo "$driver is missing: install Debian's oclgrind (\`make setup\` does)" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/vendors"
echo "$driver" > "$folder/vendors/oclgrind.icd"
export OCL_ICD_VENDORS=$folder/vendors OCLGRIND_LOG=$folder/log
export OCLGRIND_MAX_WGSIZE=256 OCLGRIND_LOCAL_MEM_SIZE=32768 OCLGRIND_DATA_RACES=1 OCLGRIND_CHECK_API=1
"$@"
if [[ -s $folder/log ]]; then
  head -n 60 "$folder/log" >&2
  exit 1
fi
