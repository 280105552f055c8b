# SPDX-License-Identifier: Apache-2.0
"""Choosing the cells that stay: `select`, with one algorithm a file."""

from tfprune.sparsity.select.dispatch import select

__all__ = ["select"]
