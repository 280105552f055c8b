# SPDX-License-Identifier: Apache-2.0
"""What would happen to each operator of a model; shared by ``convert`` and ``inspect``."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfprune.converter.capability import (
    CUSTOM_CODES,
    LSTM_CODE,
    WEIGHTS_INPUT,
    Layer,
    LstmLayer,
    Refused,
    examine,
    layer_name,
)
from tfprune.converter.capability.numbers import check_sums
from tfprune.converter.chains import Neighbours, without_moves
from tfprune.converter.expand.bound import refuse_early
from tfprune.converter.finding import Finding
from tfprune.converter.graph import Graph
from tfprune.converter.plan import NotSmaller, Plan, Study, choose, study
from tfprune.converter.recurrent import decide_lstm
from tfprune.converter.shared_weights import settle
from tfprune.converter.small_layers import pay
from tfprune.converter.weights import precision_of, share_of_zeros, stored_weights
from tfprune.costs import CostTable
from tfprune.errors import ModelError, PackedFormatError
from tfprune.formats import Op, PackedWeights, ValueType, read


def analyse(graph: Graph, table: CostTable, min_speedup: float, halves: bool = False) -> list[Finding]:
    """Decides about every operator with weights, in file order.

    Args:
        graph: the model; not changed.
        table: coefficients of the device.
        min_speedup: a layer predicted to gain less stays dense.
        halves: whether float32 weights are packed as float16, rounded to nearest.
    """
    findings = []
    studies: dict[tuple[Any, ...], Study | Refused] = {}
    for subgraph, index, op in graph.operators():
        found = examine(graph, subgraph, index, op)
        if found is None:
            continue
        if isinstance(found, LstmLayer):
            findings += _lstm_findings(graph, op, found, table, min_speedup, halves)
            continue
        weights = stored_weights(graph, subgraph, op)
        if isinstance(found, Layer):
            found = dataclasses.replace(found, halve=halves and found.value_type == ValueType.FLOAT32)
            weights = graph.tensor(subgraph, found.numbers.source)
        shape = () if weights is None else graph.shape(weights)
        finding = Finding(
            subgraph,
            index,
            layer_name(graph, subgraph, op),
            graph.op_name(op),
            shape,
            0 if weights is None else graph.stored_bytes(weights),
            found if isinstance(found, Layer) else None,
            None,
            found if isinstance(found, Refused) else Refused("undecided", ""),
            precision=precision_of(graph, subgraph, op),
            buffers=() if weights is None or graph.raw(weights) is None else (int(weights.buffer),),
        )
        if isinstance(found, Layer) and weights is not None:
            key = (weights.buffer, found.meaning(), found.cost_shape, found.geometry)
            if key not in studies:
                studies[key] = study_layer(graph, found, finding.dense_bytes, table, min_speedup)
            known = studies[key]
            finding.known = None if isinstance(known, Refused) else known
            finding.outcome = known if isinstance(known, Refused) else _decide(graph, found, known, min_speedup)
        if finding.known is None and weights is not None:
            finding.zeros = share_of_zeros(graph, weights)
        findings.append(finding)
    _reconsider_between_planar_layers(graph, findings, table, min_speedup)
    settle(graph, findings, min_speedup)
    pay(graph, findings)
    return findings


def _lstm_findings(
    graph: Graph, op: Any, layer: LstmLayer, table: CostTable, min_speedup: float, halves: bool
) -> list[Finding]:
    name = layer_name(graph, layer.subgraph, op)
    return [
        Finding(
            layer.subgraph,
            layer.index,
            f"{name}/{gates.part}",
            graph.op_name(op),
            (gates.spec.out_channels, gates.spec.in_channels),
            gates.dense_bytes(graph),
            None,
            known,
            outcome,
            precision=gates.precision,
            lstm=layer,
            gates=gates,
            buffers=tuple(int(graph.tensor(layer.subgraph, source).buffer) for source in gates.sources),
        )
        for gates, known, outcome in decide_lstm(graph, layer, table, min_speedup, halves)
    ]


def study_layer(graph: Graph, layer: Layer, dense_bytes: int, table: CostTable, min_speedup: float) -> Study | Refused:
    """What is known of a layer's zeros, or why no sparse kernel could run it."""
    try:
        weights = layer.weights(graph)
        refuse_early(layer, weights, table, min_speedup)
        # Of an expanded matrix only the places are made here: booleans take the least memory.
        matrix = layer.matrix(graph) if layer.expand is None else layer.expand(weights != layer.zero_point)
        return study(layer, matrix, dense_bytes, table, min_speedup, weights=weights.size)
    except Refused as refused:
        return refused


def _decide(graph: Graph, layer: Layer, known: Study, min_speedup: float) -> Plan | Refused:
    outcome: Plan | Refused
    try:
        outcome = choose(layer, known, min_speedup)
    except Refused as refused:
        outcome = refused
    # What is not smaller may be packed all the same, where others pay for it.
    if isinstance(outcome, (Plan, NotSmaller)):
        try:
            check_sums(layer, graph)
        except Refused as refused:
            return refused
    return outcome


def _reconsider_between_planar_layers(
    graph: Graph, findings: list[Finding], table: CostTable, min_speedup: float
) -> None:
    """Converts layers that are too slow alone only because they move images that a chain would not move."""
    convolutions = [found for found in findings if found.layer is not None and found.layer.planar]
    sparse = {(found.subgraph, found.index) for found in convolutions if isinstance(found.outcome, Plan)}
    neighbours = Neighbours(graph)
    for finding in convolutions:
        too_slow = isinstance(finding.outcome, Refused) and finding.outcome.code == "too_slow"
        if not too_slow or finding.layer is None or finding.known is None or finding.layer.numbers.quantization:
            continue
        # Depthwise layers run planar as they are.
        if finding.layer.cost_shape.dense_op is not None:
            continue
        known = without_moves(finding.known, finding.layer, table, neighbours.planar_sides(finding.layer, sparse))
        again = _decide(graph, finding.layer, known, min_speedup)
        finding.outcome = again if isinstance(again, (Plan, NotSmaller)) else finding.outcome


# Places of the packed weights among the inputs of each custom op.
_PACKED_INPUTS = {**dict.fromkeys(CUSTOM_CODES.values(), (WEIGHTS_INPUT,)), LSTM_CODE: (1, 2)}


def packed_operators(graph: Graph) -> list[tuple[int, int, Any, PackedWeights]]:
    """Subgraph, index, operator and weights of every tfprune op; an LSTM stands twice, with those of its input first.

    Raises:
        ModelError: an op's weights are missing or break a rule of the format.
    """
    found = []
    for subgraph, index, op in graph.operators():
        name = graph.op_name(op)
        if not graph.is_custom(op) or name not in _PACKED_INPUTS:
            continue
        where = f"operator {index} of subgraph {subgraph} ({name})"
        for position in _PACKED_INPUTS[name]:
            packed = _packed_weights(graph, graph.input_tensor(subgraph, op, position), where)
            expected = CUSTOM_CODES[Op.FULLY_CONNECTED] if name == LSTM_CODE else name
            if CUSTOM_CODES[packed.header.spec.op] != expected:
                raise ModelError(f"{where}: its packed weights are those of another op; convert the model again")
            found.append((subgraph, index, op, packed))
    return found


def _packed_weights(graph: Graph, tensor: Any | None, where: str) -> PackedWeights:
    raw = None if tensor is None else graph.raw(tensor)
    if raw is None:
        raise ModelError(f"{where}: has no packed weights; convert the model again")
    try:
        return read(raw)
    except PackedFormatError as error:
        raise ModelError(f"{where}: {error}") from error
