#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs an aarch64 program of the cross compiler as a Cortex-A76 (dot product, no SVE, no i8mm), or as QEMU_CPU says.
exec qemu-aarch64 -cpu "${QEMU_CPU:-cortex-a76}" -L /usr/aarch64-linux-gnu "$@"
