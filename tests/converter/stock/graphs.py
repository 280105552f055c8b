# SPDX-License-Identifier: Apache-2.0
"""Random small networks with zeros of every kind, in float32, with float16 weights, and in integers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from ai_edge_litert.interpreter import Interpreter

from tests.models import ModelBuilder
from tests.models.builder import NONE, RELU, RELU6, SAME, VALID
from tfprune.converter import stock
from tfprune.converter.graph import Graph
from tfprune.converter.report import LayerReport
from tfprune.converter.stock.editor import DTYPES, FLOATS
from tfprune.costs import CostTable, StockCosts, load_table

SCALE, ZERO = 0.05, -7


@dataclasses.dataclass(frozen=True)
class Integers:
    """Types and zero points of a precision.

    Attributes:
        activations: type of activations.
        zero: their zero point.
        weights: type of weights.
        weight_zero: their zero point.
        bias: type of biases.
        scale: of activations.
    """

    activations: type[np.integer]
    zero: int
    weights: type[np.integer]
    weight_zero: int
    bias: type[np.integer]
    scale: float = SCALE


INTEGERS = {
    "int8": Integers(np.int8, ZERO, np.int8, 0, np.int32),
    "uint8": Integers(np.uint8, 121, np.uint8, 119, np.int32),
    "int16": Integers(np.int16, 0, np.int8, 0, np.int64, SCALE / 256),
}
_CODES = tfl.BuiltinOperator
_OPTIONS = tfl.BuiltinOptions
# 2 for all others.
_INTEGER_VERSIONS = {
    _CODES.CONV_2D: 3,
    _CODES.DEPTHWISE_CONV_2D: 3,
    _CODES.FULLY_CONNECTED: 4,
    _CODES.RESHAPE: 1,
    _CODES.EXPAND_DIMS: 1,
}


class Network:
    """Adds layers to a model of one precision; ``float16`` weights are float32 activations' constants."""

    def __init__(self, precision: str, shape: Sequence[int], seed: int, batch: bool = False) -> None:
        self.builder = ModelBuilder()
        self.rng = np.random.default_rng(seed)
        self.precision = precision
        self.batch = batch
        self.x = self.activation("x", shape)

    @property
    def integers(self) -> Integers | None:
        return INTEGERS.get(self.precision)

    @property
    def tensors(self) -> list[Any]:
        return self.builder.model.subgraphs[0].tensors

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(int(size) for size in self.tensors[index].shape)

    def activation(self, name: str, shape: Sequence[int]) -> int:
        integers = self.integers
        kind = "float32" if integers is None else np.dtype(integers.activations).name
        index = self.builder.tensor(name, shape, kind, batch=self.batch)
        if integers is not None:
            self.quantize(index, [integers.scale], integers.zero)
        return index

    def constant(self, name: str, values: np.ndarray) -> int:
        """Float weights; float16 ones behind a DEQUANTIZE."""
        if self.precision != "float16":
            return self.builder.constant(name, values.astype(np.float32))
        half = self.builder.constant(f"{name}/half", values.astype(np.float16))
        index = self.builder.tensor(name, values.shape)
        self.builder.operator(self.builder.opcode(_CODES.DEQUANTIZE, version=3), [half], [index])
        return index

    def weights(self, name: str, values: np.ndarray, axis: int, bias: np.ndarray | None) -> list[int]:
        integers = self.integers
        if integers is None:
            return [self.constant(name, values), *([] if bias is None else [self.constant(f"{name}/bias", bias)])]
        # Weights of uint8 have one scale, others one a channel.
        count = 1 if integers.weights is np.uint8 else values.shape[axis]
        scales = self.rng.uniform(0.01, 0.02, count)
        shape = [1] * values.ndim
        shape[axis] = count
        steps = np.clip(np.rint(values / scales.reshape(shape)), -119, 127) + integers.weight_zero
        index = self.builder.constant(name, steps.astype(integers.weights))
        self.quantize(index, scales, integers.weight_zero, axis if count > 1 else 0)
        if bias is None:
            return [index]
        scales = integers.scale * scales
        place = self.builder.constant(f"{name}/bias", np.rint(bias / scales).astype(integers.bias))
        self.quantize(place, scales, 0)
        return [index, place]

    def conv(self, x: int, values: np.ndarray, bias: np.ndarray | None, **options: Any) -> int:
        return self._windowed(x, values, bias, tfl.Conv2DOptionsT(), _CODES.CONV_2D, 0, **options)

    def depthwise(self, x: int, values: np.ndarray, bias: np.ndarray | None, **options: Any) -> int:
        kind = tfl.DepthwiseConv2DOptionsT()
        kind.depthMultiplier = values.shape[3] // self.shape(x)[3]
        return self._windowed(x, values, bias, kind, _CODES.DEPTHWISE_CONV_2D, 3, **options)

    def _windowed(
        self,
        x: int,
        values: np.ndarray,
        bias: np.ndarray | None,
        options: Any,
        code: int,
        axis: int,
        *,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: int = SAME,
        activation: int = NONE,
    ) -> int:
        n, *sizes, _ = self.shape(x)
        out = [
            -(-size // s) if padding == SAME else (size - (k - 1) * d - 1) // s + 1
            for size, s, k, d in zip(sizes, stride, values.shape[1:3], dilation, strict=True)
        ]
        options.padding, options.fusedActivationFunction = padding, activation
        options.strideH, options.strideW = stride
        options.dilationHFactor, options.dilationWFactor = dilation
        inputs = [x, *self.weights(f"w{len(self.tensors)}", values, axis, bias)]
        kind = _OPTIONS.Conv2DOptions if axis == 0 else _OPTIONS.DepthwiseConv2DOptions
        return self.op(code, inputs, [n, *out, values.shape[axis]], options, kind)

    def dense(self, x: int, values: np.ndarray, bias: np.ndarray | None, activation: int = NONE) -> int:
        options = tfl.FullyConnectedOptionsT()
        options.fusedActivationFunction = activation
        inputs = [x, *self.weights(f"w{len(self.tensors)}", values, 0, bias)]
        rows = int(np.prod(self.shape(x))) // values.shape[1]
        shape = [rows, values.shape[0]]
        return self.op(_CODES.FULLY_CONNECTED, inputs, shape, options, _OPTIONS.FullyConnectedOptions)

    def add(self, a: int, b: int, activation: int = NONE) -> int:
        options = tfl.AddOptionsT()
        options.fusedActivationFunction = activation
        return self.op(_CODES.ADD, [a, b], self.shape(a), options, _OPTIONS.AddOptions)

    def multiply(self, a: int, b: int) -> int:
        return self.op(_CODES.MUL, [a, b], self.shape(a), tfl.MulOptionsT(), _OPTIONS.MulOptions)

    def concat(self, parts: Sequence[int], axis: int = 3) -> int:
        options = tfl.ConcatenationOptionsT()
        options.axis = axis
        shape = list(self.shape(parts[0]))
        shape[axis] = sum(self.shape(part)[axis] for part in parts)
        return self.op(_CODES.CONCATENATION, list(parts), shape, options, _OPTIONS.ConcatenationOptions)

    def relu(self, x: int) -> int:
        return self.op(_CODES.RELU, [x], self.shape(x))

    def pool(self, x: int, code: int) -> int:
        options = tfl.Pool2DOptionsT()
        options.padding, options.strideH, options.strideW = SAME, 2, 2
        options.filterHeight = options.filterWidth = 3
        n, h, w, c = self.shape(x)
        return self.op(code, [x], [n, -(-h // 2), -(-w // 2), c], options, _OPTIONS.Pool2DOptions)

    def pad(self, x: int, amounts: Sequence[Sequence[int]]) -> int:
        place = self.builder.constant(f"pad{len(self.tensors)}", np.array(amounts, np.int32))
        shape = [size + before + after for size, (before, after) in zip(self.shape(x), amounts, strict=True)]
        return self.op(_CODES.PAD, [x, place], shape, tfl.PadOptionsT(), _OPTIONS.PadOptions)

    def mean(self, x: int) -> int:
        axes = self.builder.constant(f"axes{len(self.tensors)}", np.array([1, 2], np.int32))
        n, _, _, c = self.shape(x)
        return self.op(_CODES.MEAN, [x, axes], [n, c], tfl.ReducerOptionsT(), _OPTIONS.ReducerOptions)

    def reshape(self, x: int, shape: Sequence[int]) -> int:
        wanted = [-1, *shape[1:]] if self.batch else list(shape)
        place = self.builder.constant(f"shape{len(self.tensors)}", np.array(wanted, np.int32))
        options = tfl.ReshapeOptionsT()
        options.newShape = np.array(wanted, np.int32)
        return self.op(_CODES.RESHAPE, [x, place], shape, options, _OPTIONS.ReshapeOptions)

    def build(self, *outputs: int) -> bytes:
        self.builder.io([self.x], outputs)
        return self.builder.build()

    def op(self, code: int, inputs: Sequence[int], shape: Sequence[int], options: Any = None, kind: int = 0) -> int:
        """Adds an operator with one output; returns the output."""
        y = self.activation(f"t{len(self.tensors)}", shape)
        version = 1 if self.integers is None else _INTEGER_VERSIONS.get(code, 2)
        self.builder.operator(self.builder.opcode(code, version=version), inputs, [y], options, kind)
        return y

    def quantize(self, index: int, scales: Any, zero: int, axis: int = 0) -> None:
        quantization = tfl.QuantizationParametersT()
        quantization.scale = np.asarray(scales, np.float32)
        quantization.zeroPoint = np.full(len(scales), zero, np.int64)
        quantization.quantizedDimension = axis
        self.tensors[index].quantization = quantization


def random_weights(rng: np.random.Generator, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """Weights with zeros in whole filters, channels, and kernel rows and columns."""
    fan_in = np.prod(shape) / shape[axis]
    values = rng.normal(size=shape) / np.sqrt(fan_in)
    for place in range(len(shape)):
        share = rng.choice([0.0, 0.5])
        gone = rng.random(shape[place]) < share
        values[(slice(None),) * place + (gone,)] = 0
    return values


def random_network(seed: int, precision: str, batch: bool = False) -> bytes:
    """A network of about ten random layers."""
    rng = np.random.default_rng(seed)
    size = tuple(int(each) for each in rng.integers(5, 10, 2))
    net = Network(precision, (1, *size, int(rng.integers(1, 5))), seed, batch)
    images = [net.x]
    for _ in range(int(rng.integers(3, 9))):
        images.append(_random_layer(net, rng, images))
    last = images[-1]
    outputs = [last] if rng.random() < 0.2 else [_random_head(net, rng, last)]
    if rng.random() < 0.2:
        outputs.append(images[len(images) // 2])
    return net.build(*dict.fromkeys(index for index in outputs if index != net.x))


def _random_layer(net: Network, rng: np.random.Generator, images: list[int]) -> int:
    x = images[-1] if rng.random() < 0.8 else images[int(rng.integers(len(images)))]
    _, h, w, c = net.shape(x)
    partners = [each for each in images if net.shape(each) == net.shape(x) and each != x]
    kind = rng.choice(["conv", "conv", "conv", "depthwise", "add", "add", "concat", "relu", "pool", "pad", "scale"])
    if kind in ("conv", "depthwise"):
        return _random_convolution(net, rng, x, kind == "depthwise")
    if kind == "add" and partners:
        return net.add(x, partners[0], int(rng.choice([NONE, RELU])))
    if kind == "concat" and partners:
        return net.concat([x, partners[-1]], axis=int(rng.choice([2, 3])))
    if kind == "pool" and min(h, w) > 2:
        return net.pool(x, int(rng.choice([_CODES.MAX_POOL_2D, _CODES.AVERAGE_POOL_2D])))
    if kind == "pad":
        return net.pad(x, [[0, 0], *rng.integers(0, 3, (2, 2)).tolist(), [0, 0]])
    if kind == "scale" and net.integers is None:
        return net.multiply(x, net.constant(f"scale{len(net.tensors)}", rng.normal(size=c)))
    return net.relu(x)


def _random_convolution(net: Network, rng: np.random.Generator, x: int, depthwise: bool) -> int:
    _, h, w, c = net.shape(x)
    kernel = tuple(int(each) for each in rng.integers(1, 5, 2))
    dilation = tuple(int(each) for each in rng.choice([1, 1, 2], 2))
    stride = tuple(int(each) for each in rng.choice([1, 1, 2], 2))
    fits = all((k - 1) * d < size for k, d, size in zip(kernel, dilation, (h, w), strict=True))
    padding = VALID if fits and rng.random() < 0.4 else SAME
    # Often as many filters as channels, so that residuals are possible.
    out = c * int(rng.integers(1, 3)) if depthwise else int(rng.choice([c, rng.integers(1, 9)]))
    shape, axis = ((1, *kernel, out), 3) if depthwise else ((out, *kernel, c), 0)
    bias = rng.choice([0.0, 1.0]) * rng.normal(size=out)
    make = net.depthwise if depthwise else net.conv
    return make(
        x,
        random_weights(rng, shape, axis),
        bias,
        stride=stride,
        dilation=dilation,
        padding=padding,
        activation=int(rng.choice([NONE, RELU, RELU6])),
    )


def _random_head(net: Network, rng: np.random.Generator, x: int) -> int:
    n, h, w, c = net.shape(x)
    kind = rng.choice(["mean", "flatten", "direct"])
    if kind == "mean":
        x, features = net.mean(x), c
    elif kind == "flatten":
        x, features = net.reshape(x, [n, h * w * c]), h * w * c
    else:
        features = h * w * c
    for units in (int(rng.integers(2, 9)), 3):
        x = net.dense(x, random_weights(rng, (units, features), 0), rng.normal(size=units), RELU if units != 3 else 0)
        features = units
    return x


@functools.cache
def moving_table() -> CostTable:
    """A device on which to move a value takes as long as four multiply-adds, so that small images are worth it."""
    table = load_table("arm64")
    precisions = {}
    for name, costs in table.precisions.items():
        mac = costs.kinds["conv_kxk"].dense_mac
        kxk = dataclasses.replace(costs.kinds["conv_kxk"], dense_layer=0, dense_value=0)
        ops = dict.fromkeys(("pad", "slice"), StockCosts(0, 0, 4 * mac)) | {"depthwise_conv_2d": StockCosts(0, mac, 0)}
        precisions[name] = dataclasses.replace(
            costs, kinds={**costs.kinds, "conv_kxk": kxk}, stock_ops={**costs.stock_ops, **ops}
        )
    return CostTable("moving", "multiply-adds", None, precisions)


def shrunk(data: bytes, table: CostTable | None = None, min_speedup: float = 1.0) -> tuple[bytes, list[LayerReport]]:
    """A model through the passes, written whether or not its file is smaller."""
    graph = Graph(data)
    layers = stock.shrink(graph, moving_table() if table is None else table, min_speedup)
    return graph.to_bytes(), layers


def run(data: bytes, inputs: Sequence[np.ndarray], shape: Sequence[int] | None = None) -> list[np.ndarray]:
    """Outputs of stock LiteRT, one after the other."""
    interpreter = Interpreter(model_content=data)
    place = interpreter.get_input_details()[0]["index"]
    if shape is not None:
        interpreter.resize_tensor_input(place, shape)
    interpreter.allocate_tensors()
    found = []
    for x in inputs:
        interpreter.set_tensor(place, x)
        interpreter.invoke()
        found += [np.array(interpreter.get_tensor(each["index"])) for each in interpreter.get_output_details()]
    return found


def random_inputs(data: bytes, count: int = 2, batch: int | None = None, seed: int = 0) -> list[np.ndarray]:
    graph = Graph(data)
    tensor = graph.tensor(0, int(graph.model.subgraphs[0].inputs[0]))
    shape = list(graph.shape(tensor))
    shape[0] = shape[0] if batch is None else batch
    rng = np.random.default_rng(seed)
    if tensor.type in DTYPES and tensor.type not in FLOATS:
        limits = np.iinfo(DTYPES[tensor.type])
        return [rng.integers(limits.min, limits.max, shape, limits.dtype, endpoint=True) for _ in range(count)]
    return [rng.normal(size=shape).astype(np.float32) for _ in range(count)]


def assert_same(before: bytes, after: bytes, exact: bool = False, batch: int | None = None) -> None:
    """Equal outputs on random inputs: bit by bit, or within what float32 sums in another order may differ."""
    inputs = random_inputs(before, batch=batch)
    shape = None if batch is None else inputs[0].shape
    for expected, found in zip(run(before, inputs, shape), run(after, inputs, shape), strict=True):
        assert expected.shape == found.shape
        if exact or expected.dtype.kind != "f":
            np.testing.assert_array_equal(found, expected)
        else:
            np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5 * max(1.0, np.abs(expected).max()))


def macs(layers: Sequence[LayerReport]) -> tuple[int, int]:
    """Multiply-adds before and after."""
    return sum(each.dense_macs or 0 for each in layers), sum(
        (each.dense_macs if each.sparse_macs is None else each.sparse_macs) or 0 for each in layers
    )
