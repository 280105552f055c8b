# SPDX-License-Identifier: Apache-2.0
"""Predicted time of a layer, dense and sparse, from one table of coefficients per device."""

from tfprune.costs.predict import (
    LayerShape,
    PackedShape,
    StockOp,
    kind_costs,
    predict_break_even,
    predict_dense,
    predict_in_chain,
    predict_layout,
    predict_moves,
    predict_sparse,
    predict_stock,
)
from tfprune.costs.table import CostTable, KindCosts, PrecisionCosts, StockCosts, load_table, table_names

__all__ = [
    "CostTable",
    "KindCosts",
    "LayerShape",
    "PackedShape",
    "PrecisionCosts",
    "StockCosts",
    "StockOp",
    "kind_costs",
    "load_table",
    "predict_break_even",
    "predict_dense",
    "predict_in_chain",
    "predict_layout",
    "predict_moves",
    "predict_sparse",
    "predict_stock",
    "table_names",
]
