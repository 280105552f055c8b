# SPDX-License-Identifier: Apache-2.0
"""Where the shapes are that are measured without a model."""

from __future__ import annotations

from pathlib import Path

#: Files of :func:`tfprune.mapping.profiling.layer_sizes.read_layers` and
#: :func:`tfprune.mapping.profiling.stock_sizes.read_stock_layers`.
SHAPES = Path(__file__).resolve().parent / "shapes"
