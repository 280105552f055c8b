#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The pruned kernel does no more than it promises beside the dense one: counts_test.sh COUNTS UNDER_OCLGRIND LAYER.
exec python3 "$1" "$2" "$3" --limits --layer "7 7 128 256 1 1 4 0.75 balanced" \
  --layer "14 14 16 256 3 2 4 0.75 balanced"
