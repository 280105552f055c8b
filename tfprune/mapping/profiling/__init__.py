# SPDX-License-Identifier: Apache-2.0
"""Latency profiles: layers are measured on a device, and the cost table that predicts them is fitted."""
