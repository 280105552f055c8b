# SPDX-License-Identifier: Apache-2.0
"""Predicted time of a layer, dense and sparse, from one table of coefficients per device."""

from tfprune.costs.predict import LayerShape, PackedShape, predict_break_even, predict_dense, predict_sparse
from tfprune.costs.table import CostTable, KindCosts, load_table, table_names

__all__ = [
    "CostTable",
    "KindCosts",
    "LayerShape",
    "PackedShape",
    "load_table",
    "predict_break_even",
    "predict_dense",
    "predict_sparse",
    "table_names",
]
