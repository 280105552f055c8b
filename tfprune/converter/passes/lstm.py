# SPDX-License-Identifier: Apache-2.0
"""``UNIDIRECTIONAL_SEQUENCE_LSTM`` with two packed matrices becomes ``TfpruneLSTM``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfprune.converter.capability import LSTM_CODE, GateMatrix, LstmLayer
from tfprune.converter.finding import Finding
from tfprune.converter.graph import Graph
from tfprune.converter.options import op_options
from tfprune.converter.passes.packing import PackedBuffers
from tfprune.converter.plan import Plan
from tfprune.converter.schema import TensorType, flexbuffer_map, text
from tfprune.formats import FORMAT_VERSION, encode, read

# What the options say of each of the two matrices.
_SAID = ("encoding", "group", "value_type", "sparsity")


def rewrite(graph: Graph, findings: list[Finding], packed: PackedBuffers) -> None:
    """Rewrites every LSTM that has plans."""
    layers: dict[tuple[int, int], list[Finding]] = {}
    for finding in findings:
        if finding.lstm is not None and isinstance(finding.outcome, Plan):
            layers.setdefault((finding.subgraph, finding.index), []).append(finding)
    for both in layers.values():
        if both[0].lstm is not None:
            _pack(graph, both[0].lstm, both, packed)


def _pack(graph: Graph, layer: LstmLayer, findings: list[Finding], packed: PackedBuffers) -> None:
    op = graph.model.subgraphs[layer.subgraph].operators[layer.index]
    name = text(graph.tensor(layer.subgraph, int(op.outputs[0])).name)
    options: dict[str, int | float | str] = {
        "version": FORMAT_VERSION,
        "dense_version": graph.version(op),
        "units": layer.units,
        "time_major": int(layer.time_major),
        "cell_clip": str(layer.cell_clip),
    }
    weights = []
    for finding in findings:
        if finding.gates is None or not isinstance(finding.outcome, Plan):
            continue
        data = _encode(graph, finding.gates, finding.outcome)
        part = finding.gates.part
        place = (layer.subgraph, f"{name}/{part}/packed", TensorType.UINT8, [len(data)])
        key = (*finding.buffers, finding.gates.meaning(), finding.outcome.encoding_name)
        if key in packed:
            weights.append(graph.share_constant(*place, packed[key]))
        else:
            weights.append(graph.add_constant(*place, data))
            packed[key] = int(graph.tensor(layer.subgraph, weights[-1]).buffer)
        said = op_options(read(data))
        options |= {f"{part}_{field}": said[field] for field in _SAID}
    geometry = graph.add_zeros(layer.subgraph, f"{name}/geometry", layer.matrices[0].geometry)
    bias = _float_constant(graph, layer, f"{name}/bias", layer.bias(graph))
    clip = _float_constant(graph, layer, f"{name}/cell_clip", np.array([layer.cell_clip], np.float32))
    graph.set_inputs(layer.subgraph, op, [int(op.inputs[0]), *weights, geometry, bias, clip, *layer.states])
    graph.set_custom(op, LSTM_CODE, flexbuffer_map(options))


def _encode(graph: Graph, gates: GateMatrix, plan: Plan) -> npt.NDArray[np.uint8]:
    return encode(gates.matrix(graph), gates.spec, plan.encoding, plan.rows, plan.cols)


def _float_constant(graph: Graph, layer: LstmLayer, name: str, values: npt.NDArray[np.float32]) -> int:
    data = np.ascontiguousarray(values).view(np.uint8)
    return graph.add_constant(layer.subgraph, name, TensorType.FLOAT32, [len(values)], data)
