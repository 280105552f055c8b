# SPDX-License-Identifier: Apache-2.0
"""Tiny LSTMs: the fused operator with its variables, and a loop whose weights come from outside."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from tests.models.builder import NONE, TANH, ModelBuilder, pruned

_INPUTS, _DEQUANTIZE_VERSION = 24, 3


@dataclasses.dataclass(frozen=True)
class LstmFile:
    """Sizes and form of a file with one fused LSTM; ``extra`` are inputs that it has besides, by their place."""

    units: int = 32
    features: int = 24
    batch: int = 1
    steps: int = 5
    time_major: bool = False
    cell_clip: float = 10.0
    halves: bool = False
    recurrent_sparsity: float = 0.8
    coupled: bool = False
    activation: int = TANH
    diagonal: bool = False
    extra: tuple[int, ...] = ()
    layers: int = 1
    share: bool = False

    def build(self) -> bytes:
        builder = ModelBuilder()
        shape = [self.steps, self.batch] if self.time_major else [self.batch, self.steps]
        x = builder.tensor("x", [*shape, self.features])
        y = x
        weights: list[int] = []
        for layer in range(self.layers):
            features = self.features if layer == 0 else self.units
            if not (weights and self.share):
                weights = self._weights(builder, features, layer)
            y = self._lstm(builder, y, weights, layer)
        builder.io([x], [y])
        builder.signature("serve", {"x": x}, {"y": y})
        return builder.build()

    def _weights(self, builder: ModelBuilder, features: int, layer: int) -> list[int]:
        matrices = [pruned((self.units, features), seed=10 * layer + gate) for gate in range(4)]
        matrices += [
            pruned((self.units, self.units), self.recurrent_sparsity, seed=10 * layer + 4 + gate) for gate in range(4)
        ]
        return [self._constant(builder, f"w{layer}/{i}", 0.3 * matrix) for i, matrix in enumerate(matrices)]

    def _constant(self, builder: ModelBuilder, name: str, values: np.ndarray) -> int:
        if not self.halves:
            return builder.constant(name, values.astype(np.float32))
        halves = builder.constant(name, values.astype(np.float16))
        widened = builder.tensor(f"{name}/float32", values.shape)
        opcode = builder.opcode(tfl.BuiltinOperator.DEQUANTIZE, version=_DEQUANTIZE_VERSION)
        builder.operator(opcode, [halves], [widened], tfl.DequantizeOptionsT(), tfl.BuiltinOptions.DequantizeOptions)
        return widened

    def _lstm(self, builder: ModelBuilder, x: int, weights: list[int], layer: int) -> int:
        inputs = [-1] * _INPUTS
        inputs[0] = x
        inputs[1:9] = weights
        rng = np.random.default_rng(layer)
        for gate in range(4):
            inputs[12 + gate] = self._constant(builder, f"b{layer}/{gate}", rng.standard_normal(self.units) / 4)
        for place in (18, 19):
            inputs[place] = builder.tensor(f"state{layer}/{place}", [self.batch, self.units])
            builder.model.subgraphs[0].tensors[inputs[place]].isVariable = True
        for place in self.extra:
            inputs[place] = self._constant(builder, f"extra{place}", np.ones(self.units))
        if self.coupled:
            inputs[1] = inputs[5] = inputs[12] = -1
        options = tfl.UnidirectionalSequenceLSTMOptionsT()
        options.fusedActivationFunction = self.activation
        options.cellClip, options.timeMajor = self.cell_clip, self.time_major
        options.diagonalRecurrentTensors = self.diagonal
        shape = [int(size) for size in builder.model.subgraphs[0].tensors[x].shape]
        y = builder.tensor(f"lstm{layer}", [*shape[:2], self.units])
        builder.operator(
            builder.opcode(tfl.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM),
            inputs,
            [y],
            options,
            tfl.BuiltinOptions.UnidirectionalSequenceLSTMOptions,
        )
        return y


def loop_model(
    weights: np.ndarray, bias: np.ndarray, *, steps: int = 4, changed: bool = False, read_behind: bool = False
) -> bytes:
    """``h = tanh(weights h + bias)``, ``steps`` times in a WHILE loop that takes weights and bias as loop variables.

    Args:
        weights: ``[n, n]``.
        bias: ``[n]``.
        steps: turns of the loop.
        changed: whether the body changes the weights.
        read_behind: whether an output of the model is what the loop hands on as weights.
    """
    builder = ModelBuilder()
    n = len(bias)
    loop = {name: _loop_tensors(builder, n, graph) for name, graph in _subgraphs(builder).items()}
    _condition(builder, loop["condition"], steps)
    body = loop["body"]
    step = _binary(builder, tfl.BuiltinOperator.ADD, body[0], builder.constant("one", np.int32(1), 2), [], "int32", 2)
    dense = builder.tensor("dense", [1, n], graph=2)
    options = tfl.FullyConnectedOptionsT()
    opcode = builder.opcode(tfl.BuiltinOperator.FULLY_CONNECTED)
    kind = tfl.BuiltinOptions.FullyConnectedOptions
    builder.operator(opcode, [body[1], body[2], body[3]], [dense], options, kind, 2)
    hidden = builder.tensor("tanh", [1, n], graph=2)
    builder.operator(builder.opcode(tfl.BuiltinOperator.TANH), [dense], [hidden], graph=2)
    handed_on = body[2]
    if changed:
        handed_on = _binary(builder, tfl.BuiltinOperator.ADD, body[2], body[2], [n, n], "float32", 2)
    builder.io(body, [step, hidden, handed_on, body[3]], graph=2)
    x = builder.tensor("x", [1, n])
    outer = [builder.constant("zero", np.int32(0)), x, builder.constant("w", weights), builder.constant("b", bias)]
    results = _loop_tensors(builder, n, 0, "out")
    options = tfl.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    opcode = builder.opcode(tfl.BuiltinOperator.WHILE)
    builder.operator(opcode, outer, results, options, tfl.BuiltinOptions.WhileOptions)
    builder.io([x], [results[1], *([results[2]] if read_behind else [])])
    return builder.build()


def _subgraphs(builder: ModelBuilder) -> dict[str, int]:
    return {"condition": builder.subgraph(), "body": builder.subgraph()}


def _loop_tensors(builder: ModelBuilder, n: int, graph: int, prefix: str = "in") -> list[int]:
    shapes: list[tuple[str, list[int], str]] = [
        ("i", [], "int32"),
        ("h", [1, n], "float32"),
        ("w", [n, n], "float32"),
        ("b", [n], "float32"),
    ]
    return [builder.tensor(f"{prefix}/{name}", shape, dtype, graph=graph) for name, shape, dtype in shapes]


def _condition(builder: ModelBuilder, inputs: list[int], steps: int) -> None:
    limit = builder.constant("steps", np.int32(steps), 1)
    go_on = builder.tensor("go_on", [], graph=1)
    builder.model.subgraphs[1].tensors[go_on].type = tfl.TensorType.BOOL
    opcode = builder.opcode(tfl.BuiltinOperator.LESS)
    builder.operator(opcode, [inputs[0], limit], [go_on], tfl.LessOptionsT(), tfl.BuiltinOptions.LessOptions, 1)
    builder.io(inputs, [go_on], graph=1)


def _binary(builder: ModelBuilder, number: int, a: int, b: int, shape: list[int], dtype: str, graph: int) -> int:
    y = builder.tensor(f"sum{a}", shape, dtype, graph=graph)
    options: Any = tfl.AddOptionsT()
    options.fusedActivationFunction = NONE
    builder.operator(builder.opcode(number), [a, b], [y], options, tfl.BuiltinOptions.AddOptions, graph)
    return y
