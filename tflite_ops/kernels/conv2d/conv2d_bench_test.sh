#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
set -eu
output=$("$1" --benchmark_filter='^(conv 7 7|conv 28 28 16|fc 1 1 1024)' --benchmark_min_time=0.001)
echo "$output"
echo "$output" | grep -q 'effective='
if echo "$output" | grep -q 'ERROR'; then exit 1; fi
