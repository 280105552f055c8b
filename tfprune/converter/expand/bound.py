# SPDX-License-Identifier: Apache-2.0
"""What can be said of an expanded layer from its weights alone, before the large matrix is made."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.capability.layer import Layer, Refused
from tfprune.costs import CostTable, LayerShape, kind_costs, predict_dense, predict_layout
from tfprune.errors import NotModelledError

#: Places of the largest matrix that is made; 256 MiB of float32.
MOST_PLACES = 2**26
_MEASURE = "A min_speedup below 1 converts it all the same: then measure it"


def least_time(table: CostTable, shape: LayerShape, nonzero: int, shared_rows: int) -> float:
    """A time that no encoding of the sparse layer is below, in the table's unit.

    Every non-zero weight is part of some group. A group of more rows than have weights in one column holds zeros.

    Args:
        table: coefficients of the device.
        shape: sizes of the sparse layer.
        nonzero: weights that are not zero.
        shared_rows: rows that can have a non-zero weight in one column.

    Raises:
        NotModelledError: the table was not fitted on the precision or a stock op.
    """
    costs = kind_costs(table, shape)
    steps = ((rows, cost) for sizes in costs.step.values() for rows, cost in sizes.items())
    weight = min(cost / min(rows, shared_rows) for rows, cost in steps)
    columns = -(-nonzero // shared_rows)
    per_pixel = weight * nonzero + costs.column_value * columns + costs.output_value * shape.out_channels
    moved = predict_layout(table, shape)
    return costs.sparse_layer + costs.input_value * shape.input_values + per_pixel * shape.pixels + moved


def refuse_early(layer: Layer, weights: npt.NDArray[Any], table: CostTable, min_speedup: float) -> None:
    """Refuses an expanded layer whose matrix need not be made, or would be too large.

    Args:
        layer: the layer.
        weights: its weights as they are stored.
        table: coefficients of the device.
        min_speedup: a layer predicted to gain less stays dense.

    Raises:
        Refused: no zeros, too slow, not modelled, or too large.
    """
    if layer.expand is None or layer.shared_rows is None:
        return
    nonzero = int(np.count_nonzero(weights != layer.zero_point))
    if nonzero == weights.size:
        raise Refused("no_zeros", "no weight is zero")
    try:
        least = least_time(table, layer.cost_shape, nonzero, layer.shared_rows)
        most = predict_dense(table, layer.cost_shape) / least
    except NotModelledError as error:
        if min_speedup >= 1:
            raise Refused("not_modelled", f"{error}. {_MEASURE}") from None
    else:
        if most < min_speedup:
            raise Refused(
                "too_slow",
                f"predicted {most:.2f}x at most, below min_speedup {min_speedup:g} "
                f"({1 - nonzero / weights.size:.1%} zeros)",
            )
    if layer.shared_rows == 1 and min_speedup >= 1:
        # Measured at 0.2x to 1.5x where 0.9x to 2.3x was predicted.
        raise Refused("not_modelled", f"each column has one row: the cost tables were not fitted on such. {_MEASURE}")
    places = layer.spec.out_channels * layer.spec.columns
    if places > MOST_PLACES:
        raise Refused(
            "expansion_too_large",
            f"as one matrix the weights have {layer.spec.out_channels} x {layer.spec.columns} places, "
            f"more than {MOST_PLACES}",
        )
