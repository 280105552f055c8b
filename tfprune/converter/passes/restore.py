# SPDX-License-Identifier: Apache-2.0
"""The way back: tfprune ops become ``CONV_2D`` and ``FULLY_CONNECTED`` with ordinary weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfprune.converter.analysis import packed_operators, packed_report
from tfprune.converter.capability import WEIGHTS_INPUT
from tfprune.converter.graph import Graph
from tfprune.converter.report import LayerReport
from tfprune.converter.schema import BuiltinOperator, TensorType, text, tfl
from tfprune.errors import ModelError, PackedFormatError
from tfprune.formats import Op, OpSpec, PackedWeights

_BIAS_INPUT = 3
_SUFFIX = "/packed"


def rewrite(graph: Graph) -> list[LayerReport]:
    """Makes every tfprune op of ``graph`` a stock one again.

    The weights are those that were packed, bit by bit; only the sign of a zero is lost.

    Raises:
        ModelError: packed weights that break a rule of the format.
    """
    reports = []
    restored: dict[int, int] = {}
    for subgraph, index, op, packed in packed_operators(graph):
        reports.append(packed_report(graph, subgraph, index, op, packed, "restored"))
        _restore(graph, subgraph, op, packed, restored)
    return reports


def _restore(graph: Graph, subgraph: int, op: Any, packed: PackedWeights, restored: dict[int, int]) -> None:
    spec = packed.header.spec
    shape = [spec.out_channels, spec.in_channels]
    if spec.op == Op.CONV_2D:
        shape[1:1] = [spec.kernel_h, spec.kernel_w]
    slot = int(op.inputs[WEIGHTS_INPUT])
    tensor = graph.tensor(subgraph, slot)
    place = (subgraph, slot, text(tensor.name).removesuffix(_SUFFIX), TensorType.FLOAT32, shape)
    # Ops of several subgraphs may share packed weights: they share the dense ones again.
    key = int(tensor.buffer)
    if key in restored:
        weights = graph.reuse_constant(*place, restored[key])
    else:
        try:
            matrix = packed.matrix()
        except PackedFormatError as error:
            raise ModelError(f"{text(tensor.name)}: {error}") from error
        weights = graph.replace_constant(*place, matrix.reshape(-1).view(np.uint8))
        restored[key] = int(graph.tensor(subgraph, weights).buffer)
    inputs = [int(op.inputs[0]), weights]
    if len(op.inputs) > _BIAS_INPUT and op.inputs[_BIAS_INPUT] >= 0:
        inputs.append(int(op.inputs[_BIAS_INPUT]))
    graph.set_inputs(subgraph, op, inputs)
    if spec.op == Op.CONV_2D:
        options = _conv_options(spec)
        graph.set_builtin(op, BuiltinOperator.CONV_2D, 1, tfl.BuiltinOptions.Conv2DOptions, options)
    else:
        options = tfl.FullyConnectedOptionsT()
        options.fusedActivationFunction = int(spec.activation)
        options.keepNumDims = spec.keep_num_dims
        # Versions as TFLite numbers them: without bias 6, keep_num_dims 5, plain 1.
        version = 6 if len(inputs) == 2 else 5 if spec.keep_num_dims else 1
        graph.set_builtin(
            op, BuiltinOperator.FULLY_CONNECTED, version, tfl.BuiltinOptions.FullyConnectedOptions, options
        )


def _conv_options(spec: OpSpec) -> Any:
    options = tfl.Conv2DOptionsT()
    options.padding = int(spec.padding)
    options.strideH, options.strideW = spec.stride_h, spec.stride_w
    options.dilationHFactor, options.dilationWFactor = spec.dilation_h, spec.dilation_w
    options.fusedActivationFunction = int(spec.activation)
    return options
