#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a program for 32-bit Arm of the cross compiler as a Cortex-A15.
exec qemu-arm -cpu cortex-a15 -L /usr/arm-linux-gnueabi "$@"
