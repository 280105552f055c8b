# SPDX-License-Identifier: Apache-2.0
"""Rewrites of a graph: one a file, run in the order of :data:`PASSES`."""

from __future__ import annotations

from collections.abc import Callable

from tfprune.converter.finding import Finding
from tfprune.converter.graph import Graph
from tfprune.converter.passes import conv2d, fully_connected, left_open, lstm
from tfprune.converter.passes.packing import PackedBuffers

Pass = Callable[[Graph, list[Finding], PackedBuffers], None]

#: Name and function of each rewrite to sparse ops. A pass only touches findings of its own operator.
PASSES: tuple[tuple[str, Pass], ...] = (
    ("conv2d", conv2d.rewrite),
    ("fully_connected", fully_connected.rewrite),
    ("lstm", lstm.rewrite),
)


def run(graph: Graph, findings: list[Finding]) -> None:
    """Runs every pass once on ``graph``."""
    packed: PackedBuffers = {}
    for _, rewrite in PASSES:
        rewrite(graph, findings, packed)
    left_open.rewrite(graph)
