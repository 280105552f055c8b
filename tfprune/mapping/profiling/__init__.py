# SPDX-License-Identifier: Apache-2.0
"""Latency profiles: layers are measured on a device, and the cost table that predicts them is fitted."""

from tfprune.mapping.profiling.api import profile
from tfprune.mapping.profiling.device import check_table
from tfprune.mapping.profiling.report import ProfileReport
from tfprune.mapping.profiling.targets import Target

__all__ = ["ProfileReport", "Target", "check_table", "profile"]
