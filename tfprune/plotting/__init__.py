# SPDX-License-Identifier: Apache-2.0
"""Pictures of what pruning did: masks, kept magnitude pattern by pattern, balance of bands."""

from tfprune.plotting.masks import plot_masks

__all__ = ["plot_masks"]
