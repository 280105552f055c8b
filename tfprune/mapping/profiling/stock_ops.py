# SPDX-License-Identifier: Apache-2.0
"""Stock ops that a sparse layer can stand for, needs round it or has beside it, as models of one op."""

from __future__ import annotations

from tfprune.mapping.profiling.stock_sizes import SPARSE, StockLayer
from tfprune.mapping.profiling.stock_values import VALUE_OPS, value_model
from tfprune.mapping.profiling.stock_weights import sparse_fully_connected, weighted_model


def stock_model(layer: StockLayer, precision: str, seed: int = 0) -> bytes:
    """The op with random weights, in a precision of the cost tables."""
    if layer.name in VALUE_OPS:
        return value_model(layer, precision)
    if layer.name in SPARSE:
        return sparse_fully_connected(layer, seed)
    return weighted_model(layer, precision, seed)


def measurable(layer: StockLayer, precision: str) -> bool:
    """Whether LiteRT has the op in the precision: some lack some types."""
    lacking = (*_FLOAT_ONLY, *_LACKING.get(precision, ()))
    return precision == "float32" or not {layer.name, layer.operator} & set(lacking)


#: Sigmoids and the like, as integers, have scales of their own.
_FLOAT_ONLY = ("conv_3d", "activation", *SPARSE)
_LACKING: dict[str, tuple[str, ...]] = {
    "uint8": ("batch_matmul",),
    "int16": ("depth_to_space", "HARD_SWISH"),
}
