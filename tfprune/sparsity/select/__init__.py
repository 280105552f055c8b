# SPDX-License-Identifier: Apache-2.0
"""Choosing the cells that stay, with one algorithm a file.

`select` chooses for one kernel, `LayerSelector` for many again and again, `select_global` shares one budget among them.
"""

from tfprune.sparsity.select.allocate import select_global
from tfprune.sparsity.select.dispatch import select
from tfprune.sparsity.select.layers import LayerJob, LayerSelector

__all__ = ["LayerJob", "LayerSelector", "select", "select_global"]
