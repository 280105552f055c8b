# SPDX-License-Identifier: Apache-2.0
"""What a layer was and what it became: weights, bytes and multiply-adds, and reasons where nothing changed."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np

from tfprune import __version__
from tfprune.converter.capability import CAPABILITIES, WITHOUT_KERNEL, Refused, layer_name
from tfprune.converter.report import LayerReport
from tfprune.converter.stock.editor import NO_WEIGHTS, Editor
from tfprune.converter.stock.log import Log
from tfprune.converter.stock.prediction import Predictor
from tfprune.converter.stock.sparse_encoding import ENCODING
from tfprune.converter.weights import operands, precision_of
from tfprune.sparsity.measure import Density

# The operators that have a rewrite.
LINEAR = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_TRANSPOSED = ("TRANSPOSE_CONV", "CONV_3D_TRANSPOSE")
# Inputs of a fused LSTM that hold weights: four for its input, four for its state.
_GATES = range(1, 9)


@dataclasses.dataclass(frozen=True)
class Size:
    """Weights of an operator.

    Attributes:
        shape: shape of the weights.
        stored: how many weights are stored.
        nonzeros: how many are not zero.
        weight_bytes: bytes in which they are stored.
        macs: multiply-adds of a run; sizes that the file does not fix count as 1.
        sparse: whether they have TFLite's sparse encoding.
        buffers: numbers of the buffers that hold them.
    """

    shape: tuple[int, ...]
    stored: int
    nonzeros: int
    weight_bytes: int
    macs: int
    sparse: bool
    buffers: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Before:
    """An operator with weights as it was in the input."""

    subgraph: int
    index: int
    name: str
    op: Any
    op_name: str
    size: Size | None
    pattern: str | None
    time: float | Refused


def layers(editor: Editor, predictor: Predictor) -> list[Before]:
    """The operators of a subgraph that have weights."""
    names = {*CAPABILITIES, *WITHOUT_KERNEL}
    return [
        Before(
            editor.number,
            index,
            layer_name(editor.graph, editor.number, op),
            op,
            editor.name(op),
            measure(editor, op),
            predictor.pattern(editor, op),
            _time(editor, op, predictor),
        )
        for index, op in enumerate(editor.operators)
        if editor.name(op) in names
    ]


def _time(editor: Editor, op: Any, predictor: Predictor) -> float | Refused:
    """Predicted time of an operator, or why there is none."""
    try:
        return predictor.time(editor, op)
    except Refused as refused:
        return refused


def measure(editor: Editor, op: Any) -> Size | None:
    """Size of an operator's weights; None where they are no constant of a known type."""
    if editor.name(op) == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        return _measure_gates(editor, op)
    position = operands(editor.graph, editor.number, op)[1]
    constant, index = editor.constant(op, position), editor.input(op, position)
    if constant is not None:
        shape = constant.values.shape
        nonzeros = int(np.count_nonzero(constant.nonzero))
        macs = _macs(editor, op, shape)
        buffers = (int(constant.tensor.buffer),)
        return Size(shape, math.prod(shape), nonzeros, constant.values.nbytes, macs, sparse=False, buffers=buffers)
    if index is None or editor.tensor(index).sparsity is None:
        return None
    tensor = editor.tensor(index)
    values = editor.graph.raw(tensor)
    count = 0 if values is None else len(values) // 4
    indices = sum(
        each.values.nbytes
        for dimension in tensor.sparsity.dimMetadata
        for each in (dimension.arraySegments, dimension.arrayIndices)
        if each is not None
    )
    nonzeros = 0 if values is None else int(np.count_nonzero(values.view(np.float32)))
    macs = _macs(editor, op, (count,))
    buffers = (int(tensor.buffer),)
    return Size(editor.shape(index), count, nonzeros, 4 * count + indices, macs, sparse=True, buffers=buffers)


def _measure_gates(editor: Editor, op: Any) -> Size | None:
    """Size of the matrices of a fused LSTM, those for the input beside those for the state, one gate above the other.

    The input gate may be left out.
    """
    found = [editor.constant(op, position) for position in _GATES if editor.input(op, position) is not None]
    gates = [gate for gate in found if gate is not None and gate.values.ndim == 2]
    if not gates or len(gates) != len(found):
        return None
    weights = sum(gate.values.size for gate in gates)
    rows = sum(len(gate.values) for gate in gates) // 2
    nonzeros = sum(int(np.count_nonzero(gate.nonzero)) for gate in gates)
    size = sum(gate.values.nbytes for gate in gates)
    shape = (rows, weights // rows) if rows else (0, 0)
    buffers = tuple(int(gate.tensor.buffer) for gate in gates)
    return Size(shape, math.prod(shape), nonzeros, size, _macs(editor, op, shape), sparse=False, buffers=buffers)


def _macs(editor: Editor, op: Any, shape: tuple[int, ...]) -> int:
    """Each weight is multiplied once a place of the output; in a transposed convolution of the input."""
    name = editor.name(op)
    activation, weights = operands(editor.graph, editor.number, op)
    outputs = [int(each) for each in op.outputs if each >= 0]
    index = editor.input(op, activation) if name.endswith(_TRANSPOSED) else next(iter(outputs), None)
    if index is None or name == "EMBEDDING_LOOKUP":
        return 0
    sizes = [max(1, size) for size in editor.shape(index)]
    if name == "BATCH_MATMUL" and min(len(sizes), len(shape)) >= 2:
        # Of each batch's product: rows x columns of the constant for each column or row of the result.
        return math.prod(sizes) * math.prod(shape[-2:]) // sizes[-1 if weights else -2]
    return math.prod(shape) * math.prod(sizes[:-1])


def layer_report(editor: Editor, before: Before, log: Log, predictor: Predictor) -> LayerReport:
    """What became of an operator."""
    old, new = before.size, measure(editor, before.op)
    changed = old is not None and new is not None and (old.shape != new.shape or new.sparse)
    after = _time(editor, before.op, predictor) if changed else before.time
    missing = next((time for time in (before.time, after) if isinstance(time, Refused)), None)
    reason = _unpredicted(missing) if changed else _reason(before, log.reasons(before.op), missing)
    report = LayerReport(
        subgraph=before.subgraph,
        index=before.index,
        name=before.name,
        op=before.op_name,
        shape=() if old is None else old.shape,
        sparsity=None if old is None else Density(old.nonzeros, math.prod(old.shape)).sparsity,
        pattern=before.pattern,
        verdict="dense",
        encoding=None,
        dense_bytes=0 if old is None else old.weight_bytes,
        packed_bytes=None,
        predicted_speedup=None,
        break_even=None,
        reason_code=None if reason is None else reason.code,
        reason=None if reason is None else reason.text,
        precision=precision_of(editor.graph, before.subgraph, before.op),
        dense_macs=None if old is None else old.macs,
        dense_time=_number(before.time),
        buffers=() if old is None else old.buffers,
    )
    priced = log.encoding(before.op)
    if changed and old is not None and new is not None:
        report = _smaller(report, before.op_name, old, new, _number(after))
    elif priced is not None and old is not None:
        report = dataclasses.replace(
            report,
            considered=priced.encoding,
            fill=old.nonzeros / priced.stored,
            sparse_macs=priced.macs,
            sparse_time=priced.time,
        )
    if new is not None and new.sparse and priced is not None and priced.most_stored:
        kept = (1 - (report.sparsity or 0)) * priced.most_stored / priced.stored
        report = dataclasses.replace(report, break_even=max(0.0, 1 - kept))
    return report


def _smaller(report: LayerReport, name: str, old: Size, new: Size, time: float | None) -> LayerReport:
    encoding = _difference(name, old, new)
    return dataclasses.replace(
        report,
        verdict="smaller",
        encoding=encoding,
        considered=encoding,
        packed_bytes=new.weight_bytes,
        fill=new.nonzeros / new.stored,
        sparse_macs=new.macs,
        sparse_time=time,
        predicted_speedup=None if report.dense_time is None or not time else report.dense_time / time,
    )


def _number(time: float | Refused) -> float | None:
    return None if isinstance(time, Refused) else time


def refuse_all(found: list[LayerReport], code: str, reason: str) -> list[LayerReport]:
    """The same layers left as they are, for a reason that concerns the whole file."""
    gone = ("encoding", "considered", "packed_bytes", "fill", "sparse_macs", "sparse_time", "predicted_speedup")
    changed: dict[str, Any] = {"verdict": "dense", **dict.fromkeys((*gone, "break_even"))}
    return [
        dataclasses.replace(layer, **changed, reason_code=code, reason=reason) if layer.verdict == "smaller" else layer
        for layer in found
    ]


def metadata(found: list[LayerReport], table: str, min_speedup: float) -> bytes:
    """What the file says about its own making; the same for the same input."""
    made = [
        {"subgraph": layer.subgraph, "operator": layer.index, "became": layer.encoding}
        for layer in found
        if layer.verdict == "smaller"
    ]
    options = {"target": "stock", "min_speedup": min_speedup}
    content = {"version": __version__, "options": options, "cost_table": table, "layers": made}
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _difference(name: str, old: Size, new: Size) -> str:
    """Such as ``"kernel 3x3 to 1x3, filters 64 to 40"``."""
    parts = []
    if len(old.shape) == 4 and old.shape[1:3] != new.shape[1:3]:
        parts.append("kernel {}x{} to {}x{}".format(*old.shape[1:3], *new.shape[1:3]))
    depthwise = name == "DEPTHWISE_CONV_2D"
    for axis, what in ((-1, "channels" if depthwise else "inputs"), (0, "filters")):
        if old.shape[axis] != new.shape[axis]:
            parts.append(f"{what} {old.shape[axis]} to {new.shape[axis]}")
    if new.sparse:
        parts.append(ENCODING)
    return ", ".join(parts)


def _reason(before: Before, reasons: list[Refused], missing: Refused | None) -> Refused:
    """Why an operator stays as it is, and why no time of it is predicted where that is so."""
    found = _own_reason(before, reasons)
    unpredicted = _unpredicted(missing)
    return found if unpredicted is None else Refused(found.code, f"{found.text}; {unpredicted.text}")


def _unpredicted(missing: Refused | None) -> Refused | None:
    return None if missing is None else Refused("not_modelled", f"no time is predicted: {missing.text}")


def _own_reason(before: Before, reasons: list[Refused]) -> Refused:
    if before.op_name not in LINEAR:
        return Refused("operator", f"no rewrite for {before.op_name}")
    if before.size is not None and before.size.nonzeros == math.prod(before.size.shape):
        return Refused("no_zeros", "no weight is zero")
    if reasons:
        return Refused(reasons[0].code, "; ".join(dict.fromkeys(reason.text for reason in reasons)))
    if before.size is None:
        return Refused(*NO_WEIGHTS)
    return Refused("no_structure", "its zeros leave no filter, channel or outer kernel row or column empty")
