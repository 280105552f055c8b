# SPDX-License-Identifier: Apache-2.0
"""Sizes that a file leaves open and its operators compute: Keras' Dense on three dimensions."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune
from tests.converter.helpers import convert, names
from tests.models import ModelBuilder, pruned
from tfprune.converter.graph import Graph
from tfprune.converter.known_shapes import known_shape

STEPS, FEATURES, UNITS = 12, 32, 64


class Shapes(ModelBuilder):
    """Whole numbers that are computed from the shape of a tensor."""

    def numbers(self, kind: str, inputs: list[int], count: int | None, **options: int) -> int:
        """An operator on int32 vectors; ``count`` None: its result is a scalar."""
        y = self.tensor(f"{kind}{len(self.model.subgraphs[0].tensors)}", [] if count is None else [count], "int32")
        names = {"SHAPE": "Shape", "GATHER": "Gather", "PACK": "Pack", "REDUCE_PROD": "Reducer"}
        names |= {"CONCATENATION": "Concatenation", "STRIDED_SLICE": "StridedSlice"}
        values = getattr(tfl, f"{names[kind]}OptionsT")()
        for name, value in options.items():
            setattr(values, name, value)
        opcode = self.opcode(getattr(tfl.BuiltinOperator, kind))
        self.operator(opcode, inputs, [y], values, getattr(tfl.BuiltinOptions, f"{names[kind]}Options"))
        return y

    def vector(self, *values: int) -> int:
        name = f"c{len(self.model.subgraphs[0].tensors)}"
        return self.constant(name, np.array(values, np.int32))

    def reshape(self, x: int, shape: int, rank: int) -> int:
        y = self.tensor(f"reshaped{rank}", [1] * rank)
        self.model.subgraphs[0].tensors[y].shapeSignature = np.full(rank, -1, np.int32)
        options = tfl.ReshapeOptionsT()
        self.operator(
            self.opcode(tfl.BuiltinOperator.RESHAPE), [x, shape], [y], options, tfl.BuiltinOptions.ReshapeOptions
        )
        return y


def dense_on_three_dimensions(features_known: bool = True) -> tuple[bytes, int]:
    """The file, and the tensor that enters the fully-connected layer."""
    builder = Shapes()
    x = builder.tensor("x", [1, STEPS, FEATURES], batch=True)
    shape = builder.numbers("SHAPE", [x], 3, outType=tfl.TensorType.INT32)
    outer = builder.numbers("GATHER", [shape, builder.vector(0, 1)], 2)
    pixels = builder.numbers("REDUCE_PROD", [outer, builder.vector(0)], None)
    if features_known:
        inner = builder.numbers("GATHER", [shape, builder.vector(2)], 1)
    else:
        inner = builder.numbers("GATHER", [shape, builder.vector(0)], 1)
    features = builder.numbers("REDUCE_PROD", [inner, builder.vector(0)], None)
    flat = builder.reshape(x, builder.numbers("PACK", [pixels, features], 2, valuesCount=2), 2)
    y = builder.fully_connected(flat, pruned((UNITS, FEATURES)))
    builder.model.subgraphs[0].tensors[y].shape = np.array([1, UNITS], np.int32)
    builder.model.subgraphs[0].tensors[y].shapeSignature = np.array([-1, UNITS], np.int32)
    behind = builder.numbers("CONCATENATION", [outer, builder.vector(UNITS)], 3)
    result = builder.reshape(y, behind, 3)
    builder.io([x], [result])
    builder.signature("serve", {"x": x}, {"y": result})
    return builder.build(), flat


def test_features_are_found_and_the_layer_converts_for_every_batch() -> None:
    data, flat = dense_on_three_dimensions()
    graph = Graph(data)
    assert known_shape(graph, 0, flat) == (None, FEATURES)
    assert known_shape(graph, 0, flat, open_size=1) == (STEPS, FEATURES)
    converted = convert(data, min_speedup=0.01)
    assert "TfpruneFullyConnected" in names(converted.tflite)
    # At batch 1 it has as many pixels as the input has steps.
    assert converted.report.layers[0].dense_macs == UNITS * FEATURES * STEPS
    for batch in (1, 3, 5):
        x = np.random.default_rng(batch).standard_normal((batch, STEPS, FEATURES)).astype(np.float32)
        report = tfprune.verify(data, converted.tflite, x)
        assert report
        assert report.outputs[0].largest > 1


def test_features_that_depend_on_the_batch_stay_open() -> None:
    data, flat = dense_on_three_dimensions(features_known=False)
    assert known_shape(Graph(data), 0, flat) == (None, None)
    layer = convert(data, min_speedup=0.01).report.layers[0]
    assert layer.reason_code == "features"
    assert "[-1, -1]" in str(layer.reason)


@pytest.mark.parametrize(
    ("begin", "end", "step", "masks", "expected"),
    [
        (0, 2, 1, {}, (None, 12, 7)),
        (-1, 0, 1, {"shrinkAxisMask": 1}, (32, 7)),
        (1, 0, 1, {"endMask": 1}, (12, 32, 7)),
        (1, 3, 1, {"beginMask": 1}, (None, 12, 32, 7)),
        (0, 3, 2, {}, (None, 32, 7)),
        (1, 3, 1, {"ellipsisMask": 1}, None),
    ],
)
def test_slices_of_a_shape(
    begin: int, end: int, step: int, masks: dict[str, int], expected: tuple[int | None, ...] | None
) -> None:
    builder = Shapes()
    x = builder.tensor("x", [1, STEPS, FEATURES], batch=True)
    shape = builder.numbers("SHAPE", [x], 3)
    bounds = [builder.vector(value) for value in (begin, end, step)]
    part = builder.numbers("STRIDED_SLICE", [shape, *bounds], 1, **masks)
    rank = 4 if expected is None else len(expected)
    y = builder.reshape(x, builder.numbers("CONCATENATION", [part, builder.vector(7)], rank), rank)
    builder.io([x], [y])
    assert known_shape(Graph(builder.build()), 0, y) == (expected or (None,) * rank)


def test_operators_that_feed_each_other_end() -> None:
    builder = Shapes()
    x = builder.tensor("x", [1, STEPS], batch=True)
    loop = builder.tensor("loop", [2], "int32")
    number = builder.opcode(tfl.BuiltinOperator.CONCATENATION)
    options = tfl.ConcatenationOptionsT()
    # Written twice: only then may an operator read what it writes itself.
    for read in (builder.vector(1), loop):
        builder.operator(number, [read, read], [loop], options, tfl.BuiltinOptions.ConcatenationOptions)
    y = builder.reshape(x, loop, 2)
    builder.io([x], [y])
    assert known_shape(Graph(builder.build()), 0, y) == (None, None)


def test_numbers_do_not_grow_without_bound() -> None:
    builder = Shapes()
    x = builder.tensor("x", [1, STEPS], batch=True)
    numbers = builder.vector(*range(8))
    for _ in range(40):
        numbers = builder.numbers("CONCATENATION", [numbers, numbers], 2)
    y = builder.reshape(x, numbers, 2)
    builder.io([x], [y])
    assert known_shape(Graph(builder.build()), 0, y) == (None, None)
