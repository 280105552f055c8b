#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The benchmark runs, and programs from the cache give the results of compiled ones.
exec "$1" "$TEST_TMPDIR/programs" 1
