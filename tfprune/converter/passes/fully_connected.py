# SPDX-License-Identifier: Apache-2.0
"""``FULLY_CONNECTED`` with packed weights becomes ``TfpruneFullyConnected``."""

from __future__ import annotations

from tfprune.converter.finding import Finding
from tfprune.converter.graph import Graph
from tfprune.converter.passes.packing import PackedBuffers, pack_operators
from tfprune.formats import Op


def rewrite(graph: Graph, findings: list[Finding], packed: PackedBuffers) -> None:
    """Rewrites every ``FULLY_CONNECTED`` that has a plan."""
    pack_operators(graph, findings, packed, Op.FULLY_CONNECTED)
