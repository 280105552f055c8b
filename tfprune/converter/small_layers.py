# SPDX-License-Identifier: Apache-2.0
"""Layers that gain time but no bytes: packed as long as what the other layers save pays for them."""

from __future__ import annotations

from collections.abc import Sequence

from tfprune.converter.finding import Finding
from tfprune.converter.graph import Graph
from tfprune.converter.plan import NotSmaller, Plan

#: Divisor of the bytes saved that may be spent: the file stays clearly smaller, whatever the estimate of an operator's
#: bytes is off by.
_SHARE = 2


def pay(graph: Graph, findings: Sequence[Finding]) -> None:
    """Gives such layers their plans, those with the most time for a byte first.

    Args:
        graph: the model; not changed.
        findings: all findings, those that share weights settled; their outcomes are changed.
    """
    budget = _saved_bytes(findings) // _SHARE
    larger = [
        (finding, finding.outcome)
        for finding in findings
        if isinstance(finding.outcome, NotSmaller)
        and finding.outcome.plan.sparse_time < finding.outcome.plan.dense_time
        and finding.layer is not None
        and all(graph.buffer_uses(buffer) == 1 for buffer in finding.buffers)
    ]
    for finding, refused in sorted(larger, key=_time_for_a_byte, reverse=True):
        if refused.more_bytes <= budget:
            budget -= refused.more_bytes
            finding.outcome = refused.plan


def _time_for_a_byte(found: tuple[Finding, NotSmaller]) -> float:
    plan = found[1].plan
    return (plan.dense_time - plan.sparse_time) / max(1, found[1].more_bytes)


def _saved_bytes(findings: Sequence[Finding]) -> int:
    dense: dict[tuple[int, ...], int] = {}
    packed: dict[tuple[object, ...], int] = {}
    for finding in findings:
        layer = finding.prunable
        if layer is not None and isinstance(finding.outcome, Plan):
            dense[finding.buffers] = finding.dense_bytes
            packed[finding.buffers, layer.meaning(), finding.outcome.encoding_name] = finding.outcome.packed_bytes
    return sum(dense.values()) - sum(packed.values())
