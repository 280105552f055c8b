# SPDX-License-Identifier: Apache-2.0
"""The forms of graph that PyTorch's LiteRT exporter writes, rebuilt without PyTorch.

Images come channels first, padding is an operator of its own, recurrent layers are unrolled on shared weights, and
biases of 3D convolutions are added behind them. ``tests/elsewhere`` holds the same from the exporter itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune
from tests.converter.helpers import convert, names
from tests.models import ModelBuilder, pruned
from tests.models.builder import RELU, VALID

_CODES, _OPTIONS = tfl.BuiltinOperator, tfl.BuiltinOptions
TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def vector(size: int) -> np.ndarray:
    return np.linspace(-1, 1, size).astype(np.float32)


class Forms(ModelBuilder):
    """Adds stock operators; every method returns its output."""

    def stock(self, name: str, inputs: Sequence[int], shape: Sequence[int], options: Any = None) -> int:
        y = self.tensor(name.lower(), shape)
        kind = 0 if options is None else getattr(_OPTIONS, type(options).__name__[:-1])
        self.operator(self.opcode(getattr(_CODES, name)), inputs, [y], options, kind)
        return y

    def shape(self, index: int) -> list[int]:
        return [int(size) for size in self.model.subgraphs[0].tensors[index].shape]

    def numbers(self, values: Any) -> int:
        return self.constant("numbers", np.array(values, np.int32))

    def transpose(self, x: int, order: Sequence[int]) -> int:
        return self.stock("TRANSPOSE", [x, self.numbers(order)], [self.shape(x)[axis] for axis in order])

    def reshape(self, x: int, shape: Sequence[int]) -> int:
        return self.stock("RESHAPE", [x, self.numbers(shape)], shape, tfl.ReshapeOptionsT())

    def add(self, a: int, b: int) -> int:
        return self.stock("ADD", [a, b], self.shape(a), tfl.AddOptionsT())

    def row(self, x: int, step: int) -> int:
        size = [1, self.shape(x)[1]]
        return self.stock("SLICE", [x, self.numbers([step, 0]), self.numbers(size)], size, tfl.SliceOptionsT())

    def pad(self, x: int, pads: Sequence[tuple[int, int]]) -> int:
        shape = [size + sum(pad) for size, pad in zip(self.shape(x), pads, strict=True)]
        return self.stock("PAD", [x, self.numbers(pads)], shape, tfl.PadOptionsT())


def channels_first() -> bytes:
    """TRANSPOSE, PAD, CONV_2D, a residual sum, TRANSPOSE, the mean over the image and a product."""
    builder = Forms()
    x = builder.tensor("x", [1, 32, 10, 10])
    image = builder.transpose(x, TO_LAST)
    a = builder.conv_2d(image, pruned((64, 3, 3, 32)), vector(64), activation=RELU, name="a")
    b = builder.pad(a, [(0, 0), (2, 2), (2, 2), (0, 0)])
    b = builder.conv_2d(b, pruned((64, 3, 3, 64), seed=1), vector(64), padding=VALID, dilation=(2, 2), name="b")
    first = builder.transpose(builder.add(a, b), TO_FIRST)
    mean = builder.stock("MEAN", [first, builder.numbers([2, 3])], [1, 64], tfl.ReducerOptionsT())
    y = builder.fully_connected(mean, pruned((128, 64), seed=2), vector(128))
    builder.io([x], [y])
    return builder.build()


def unrolled() -> bytes:
    """Four steps of ``h = tanh(W x + U h)``; the products of the input are one, those of the state share U."""
    builder = Forms()
    x = builder.tensor("x", [4, 64])
    inputs = builder.fully_connected(x, pruned((128, 64)), vector(128), name="inputs")
    state = builder.constant("state", 0.2 * pruned((128, 128), seed=1))
    h = builder.constant("zero", np.zeros((1, 128), np.float32))
    for step in range(4):
        product = builder.fully_connected(h, state, name=f"state{step}")
        h = builder.stock("TANH", [builder.add(builder.row(inputs, step), product)], [1, 128])
    builder.io([x], [h])
    return builder.build()


def one_axis() -> bytes:
    """A convolution over one axis: TRANSPOSE and RESHAPE to an image of one row, and back."""
    builder = Forms()
    x = builder.tensor("x", [1, 32, 40])
    image = builder.reshape(builder.transpose(x, (0, 2, 1)), [1, 1, 40, 32])
    y = builder.conv_2d(image, pruned((64, 1, 5, 32)), vector(64), dilation=(1, 2))
    builder.io([x], [builder.transpose(builder.reshape(y, [1, 40, 64]), (0, 2, 1))])
    return builder.build()


def volume() -> bytes:
    """CONV_3D without bias, which is added behind it, on channels first."""
    builder = Forms()
    x = builder.tensor("x", [1, 16, 6, 8, 8])
    options = tfl.Conv3DOptionsT()
    options.strideD = options.strideH = options.strideW = 1
    options.dilationDFactor = options.dilationHFactor = options.dilationWFactor = 1
    options.padding = VALID
    kernel = np.moveaxis(pruned((32, 3, 3, 3, 16)), 0, -1)
    weights = builder.constant("kernel", np.ascontiguousarray(kernel))
    image = builder.transpose(x, (0, 2, 3, 4, 1))
    y = builder.stock("CONV_3D", [image, weights], [1, 4, 6, 6, 32], options)
    y = builder.add(y, builder.constant("bias", vector(32)))
    builder.io([x], [builder.transpose(y, (0, 4, 1, 2, 3))])
    return builder.build()


def products() -> bytes:
    """A constant matrix on the left, and one for each head on the right."""
    builder = Forms()
    x = builder.tensor("x", [1, 32, 128])
    options = tfl.BatchMatMulOptionsT()
    left = builder.constant("left", pruned((64, 32)))
    y = builder.stock("BATCH_MATMUL", [left, x], [1, 64, 128], options)
    heads = builder.transpose(builder.reshape(y, [1, 64, 4, 32]), (0, 2, 1, 3))
    each = builder.constant("heads", pruned((4, 32, 48), rows=1))
    builder.io([x], [builder.stock("BATCH_MATMUL", [heads, each], [1, 4, 64, 48], options)])
    return builder.build()


@pytest.mark.parametrize(
    ("form", "layers"), [(channels_first, 3), (unrolled, 5), (one_axis, 1), (volume, 1), (products, 2)]
)
def test_every_layer_is_packed_and_equal(form: Callable[[], bytes], layers: int) -> None:
    data = form()
    converted = convert(data, min_speedup=0.01)
    assert [layer.verdict for layer in converted.report.layers] == ["sparse"] * layers, str(converted.report)
    assert sum(name.startswith("Tfprune") for name in names(converted.tflite)) == layers
    assert len(converted.tflite) < 0.6 * len(data)
    report = tfprune.verify(data, converted.tflite, rtol=1e-5)
    assert report, str(report)
    assert report.outputs[0].largest > 0.1
