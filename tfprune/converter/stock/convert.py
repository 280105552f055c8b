# SPDX-License-Identifier: Apache-2.0
"""Runs the passes on every subgraph until none finds anything more to do."""

from __future__ import annotations

from collections.abc import Callable

from tfprune.converter.graph import Graph
from tfprune.converter.passes import densify
from tfprune.converter.report import LayerReport
from tfprune.converter.stock import channels, fully_connected, kernels
from tfprune.converter.stock.editor import Editor
from tfprune.converter.stock.log import Log
from tfprune.converter.stock.prediction import Predictor
from tfprune.converter.stock.report import layer_report, layers
from tfprune.costs import CostTable

Pass = Callable[[Editor, Log, Predictor], None]

#: Name and function of each rewrite that makes dense operators smaller; repeated, because each can help the other: a
#: 1x1 kernel needs no padding, so what never changes can become part of its bias, and fewer channels hold fewer rows.
PASSES: tuple[tuple[str, Pass], ...] = ((kernels.NAME, kernels.rewrite), (channels.NAME, channels.rewrite))
#: The rewrite of what is left.
LAST: tuple[str, Pass] = (fully_connected.NAME, fully_connected.rewrite)


def shrink(graph: Graph, table: CostTable, min_speedup: float) -> list[LayerReport]:
    """Makes the operators of a model smaller where their zeros allow it, with stock operators only.

    The outputs stay equal: bit by bit where nothing but zeros is left out, which is always so for integers; where a
    channel of one constant value became part of a bias, float32 sums are rounded in another order.

    Args:
        graph: the model; changed in place.
        table: coefficients of the device.
        min_speedup: what a rewrite that may lose must be predicted to gain; see
            :class:`tfprune.converter.stock.prediction.Predictor`.

    Returns:
        One entry per operator with weights; those that changed have the verdict ``"smaller"``.

    Raises:
        ModelError: sparse weights of the input that are corrupt.
    """
    densify.rewrite(graph)
    predictor = Predictor(table, min_speedup)
    reports = []
    for number in range(len(graph.model.subgraphs)):
        editor, log = Editor(graph, number), Log()
        before = layers(editor, predictor)
        changes = -1
        while changes != log.changes:
            changes = log.changes
            for _, rewrite in PASSES:
                rewrite(editor, log, predictor)
        LAST[1](editor, log, predictor)
        editor.close()
        reports += [layer_report(editor, layer, log, predictor) for layer in before]
    return reports
