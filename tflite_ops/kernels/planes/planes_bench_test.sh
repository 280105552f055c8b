#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
set -eu
output=$("$1" --benchmark_min_time=0.001)
echo "$output"
echo "$output" | grep -q 'bytes_per_second='
