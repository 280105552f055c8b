# SPDX-License-Identifier: Apache-2.0
"""The best-suited pattern, block size and rate for every layer, from latency measured on the device."""
