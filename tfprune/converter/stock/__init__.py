# SPDX-License-Identifier: Apache-2.0
"""The target ``"stock"``: a model for runtimes that load no delegate, whose zeros became smaller dense operators."""

from tfprune.converter.stock.convert import shrink
from tfprune.converter.stock.report import metadata, refuse_all

__all__ = ["metadata", "refuse_all", "shrink"]
