#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
set -eu
output=$("$1" --benchmark_filter='^(7 7|14 14 512|28 28 240)' --benchmark_min_time=0.001)
echo "$output"
echo "$output" | grep -q 'macs='
if echo "$output" | grep -q 'ERROR'; then exit 1; fi
