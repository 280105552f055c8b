# SPDX-License-Identifier: Apache-2.0
"""What operators cost inside a chain, where images stay planar: stock ops of the cost tables by another name."""

from __future__ import annotations

import dataclasses

from tfprune.costs.predict import StockOp, predict_stock
from tfprune.costs.table import CHAIN_OPS, CostTable
from tfprune.errors import NotModelledError


@dataclasses.dataclass(frozen=True)
class ChainedOp:
    """An operator of a chain.

    Attributes:
        kind: ``"conv"``, ``"depthwise"``, ``"add"``, ``"pool"``, ``"mean"``; ``"pad"``, ``"widening"``, which a chain
            folds into others and which cost nothing.
        rows: rows of its input image.
        values_in: values of its first input.
        values_out: values of its output.
        channels: of its input.
        kernel: rows of its window, 1 for none.
        window: whether a convolution has a window or strides: then its input is copied once for each kernel column.
        strided: whether it reads every second value or fewer.
    """

    kind: str
    rows: int
    values_in: int
    values_out: int
    channels: int
    kernel: int = 1
    window: bool = False
    strided: bool = False

    def work(self) -> list[StockOp]:
        """What it costs besides the multiplications of a sparse convolution.

        Of a convolution with a window, ``mac`` counts rows of one channel that are copied and ``value`` the values in
        them; of depthwise layers and pooling ``mac`` counts positions of the window times output values.
        """
        if self.kind in ("pad", "widening"):
            return []
        if self.kind == "conv":
            found = [StockOp("chain_convolution", 0, self.values_out)]
            if self.window:
                name = "chain_strided_window" if self.strided else "chain_window"
                found.append(StockOp(name, self.kernel * self.rows * self.channels, self.kernel * self.values_in))
            return found
        if self.kind in ("depthwise", "pool"):
            strided = "chain_strided_depthwise" if self.strided else "chain_depthwise"
            name = strided if self.kind == "depthwise" else "chain_pooling"
            return [StockOp(name, self.kernel**2 * self.values_out, self.values_in)]
        return [StockOp("chain_add" if self.kind == "add" else "chain_reduction", 0, self.values_in)]


def ends(entering: int, leaving: int) -> list[StockOp]:
    """What a chain costs for values that are brought into planar form and back."""
    return [StockOp("chain_ends", 0, entering + leaving)]


def knows_chains(table: CostTable, precision: str) -> bool:
    """Whether a table was fitted on chains."""
    try:
        for name in CHAIN_OPS:
            predict_stock(table, precision, StockOp(name, 0, 0))
    except NotModelledError:
        return False
    return True
