# SPDX-License-Identifier: Apache-2.0
"""The verdict on an LSTM: its two matrices are packed together or not at all."""

from __future__ import annotations

import dataclasses

from tfprune.converter.capability import GateMatrix, LstmLayer, Refused
from tfprune.converter.graph import Graph
from tfprune.converter.plan import Plan, Study, choose, study
from tfprune.costs import CostTable

Verdict = tuple[GateMatrix, Study | None, Plan | Refused]


def decide_lstm(
    graph: Graph, layer: LstmLayer, table: CostTable, min_speedup: float, halves: bool = False
) -> list[Verdict]:
    """Studies both matrices of a layer and decides about them as one.

    The weights of the state are multiplied once a step, those of the input once for all steps; times are those of all
    steps. Where a matrix is too slow or not smaller by itself, the sum of both must reach ``min_speedup`` and be
    smaller.

    Args:
        graph: the model; not changed.
        layer: the layer.
        table: coefficients of the device.
        min_speedup: a layer predicted to gain less stays dense.
        halves: whether float32 weights are packed as float16, rounded to nearest.

    Returns:
        For each matrix what is known of its zeros and the outcome: a plan for both or one reason for both.
    """
    matrices = [
        dataclasses.replace(matrix, halve=halves and matrix.precision == "float32") for matrix in layer.matrices
    ]
    try:
        known = [_study(graph, matrix, table, min_speedup) for matrix in matrices]
    except Refused as refused:
        return [(matrix, None, refused) for matrix in matrices]
    try:
        plans = _plans(matrices, known, min_speedup)
    except Refused as refused:
        return [(matrix, zeros, refused) for matrix, zeros in zip(matrices, known, strict=True)]
    return list(zip(matrices, known, plans, strict=True))


def _study(graph: Graph, matrix: GateMatrix, table: CostTable, min_speedup: float) -> Study:
    weights = matrix.matrix(graph)
    known = study(matrix, weights, matrix.dense_bytes(graph), table, min_speedup)
    candidates = tuple(
        dataclasses.replace(plan, dense_time=plan.dense_time * matrix.runs, sparse_time=plan.sparse_time * matrix.runs)
        for plan in known.candidates
    )
    dense_time = None if known.dense_time is None else known.dense_time * matrix.runs
    return dataclasses.replace(known, candidates=candidates, dense_time=dense_time)


def _plans(matrices: list[GateMatrix], known: list[Study], min_speedup: float) -> list[Plan]:
    plans, failed = [], None
    for matrix, zeros in zip(matrices, known, strict=True):
        try:
            plans.append(choose(matrix, zeros, min_speedup))
        except Refused as refused:
            failed = Refused(refused.code, f"the {matrix.part} weights: {refused.text}")
            if refused.code not in ("too_slow", "not_smaller"):
                raise failed from None
            plans.append(min(zeros.candidates, key=lambda plan: (plan.sparse_time, plan.packed_bytes)))
    fast = sum(plan.dense_time for plan in plans) >= min_speedup * sum(plan.sparse_time for plan in plans)
    smaller = sum(plan.packed_bytes for plan in plans) < sum(zeros.dense_bytes for zeros in known)
    if failed is not None and not (fast and smaller):
        raise failed
    return plans
