# SPDX-License-Identifier: Apache-2.0
"""Pruning a trained model at once, with data or without, but without training."""

from tfprune.one_shot.api import prune
from tfprune.one_shot.report import LayerReport, PruneReport
from tfprune.one_shot.result import Pruned

__all__ = ["LayerReport", "PruneReport", "Pruned", "prune"]
