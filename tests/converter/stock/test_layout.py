# SPDX-License-Identifier: Apache-2.0
"""Channels through operators that move, cut and reshape images: zeros go, outputs stay equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

from tests.converter.stock.graphs import Network, assert_same, shrunk
from tests.models.builder import RELU

_CODES, _KINDS = tfl.BuiltinOperator, tfl.BuiltinOptions
Make = Callable[[Network, int], int]


def ints(net: Network, *values: Any) -> int:
    return net.builder.constant(f"c{len(net.tensors)}", np.array(values, np.int32))


def strided_slice(net: Network, x: int) -> int:
    options = tfl.StridedSliceOptionsT()
    options.endMask = 0b0010
    inputs = [x, ints(net, 0, 1, 0, 0), ints(net, 1, 0, 6, 8), ints(net, 1, 2, 1, 1)]
    return net.op(_CODES.STRIDED_SLICE, inputs, [1, 3, 6, 8], options, _KINDS.StridedSliceOptions)


def strided_slice_of_masks(net: Network, x: int) -> int:
    options = tfl.StridedSliceOptionsT()
    options.beginMask = options.endMask = 0b1101
    inputs = [x, ints(net, 0, 1, 0, 3), ints(net, 1, 5, 6, 4), ints(net, 1, 1, 1, 1)]
    return net.op(_CODES.STRIDED_SLICE, inputs, [1, 4, 6, 8], options, _KINDS.StridedSliceOptions)


def slice_of_rows(net: Network, x: int) -> int:
    inputs = [x, ints(net, 0, 1, 0, 0), ints(net, -1, 4, 6, 8)]
    return net.op(_CODES.SLICE, inputs, [1, 4, 6, 8], tfl.SliceOptionsT(), _KINDS.SliceOptions)


def split(net: Network, x: int) -> int:
    options = tfl.SplitOptionsT()
    options.numSplits = 2
    y = net.op(_CODES.SPLIT, [ints(net, 1), x], [1, 3, 6, 8], options, _KINDS.SplitOptions)
    other = net.activation("half", [1, 3, 6, 8])
    net.builder.model.subgraphs[0].operators[-1].outputs = np.array([y, other], np.int32)
    return net.add(y, other)


def transpose(net: Network, x: int) -> int:
    inputs = [x, ints(net, 0, 2, 1, 3)]
    return net.op(_CODES.TRANSPOSE, inputs, [1, 6, 6, 8], tfl.TransposeOptionsT(), _KINDS.TransposeOptions)


def resize(net: Network, x: int) -> int:
    options = tfl.ResizeBilinearOptionsT()
    return net.op(_CODES.RESIZE_BILINEAR, [x, ints(net, 9, 11)], [1, 9, 11, 8], options, _KINDS.ResizeBilinearOptions)


def nearest(net: Network, x: int) -> int:
    options = tfl.ResizeNearestNeighborOptionsT()
    kind = _KINDS.ResizeNearestNeighborOptions
    return net.op(_CODES.RESIZE_NEAREST_NEIGHBOR, [x, ints(net, 12, 12)], [1, 12, 12, 8], options, kind)


def dilated_by_batches(net: Network, x: int) -> int:
    inputs = [x, ints(net, 2, 2), ints(net, [2, 2], [2, 2])]
    y = net.op(_CODES.SPACE_TO_BATCH_ND, inputs, [4, 5, 5, 8])
    return net.op(_CODES.BATCH_TO_SPACE_ND, [y, ints(net, 2, 2), ints(net, [1, 1], [0, 2])], [1, 8, 8, 8])


def rows_to_columns(net: Network, x: int) -> int:
    return net.reshape(x, [1, 1, 36, 8])


def there_and_back(net: Network, x: int) -> int:
    return net.reshape(net.reshape(x, [1, 288]), [1, 6, 6, 8])


def squeezed(net: Network, x: int) -> int:
    options = tfl.SqueezeOptionsT()
    options.squeezeDims = np.array([0], np.int32)
    y = net.op(_CODES.SQUEEZE, [x], [6, 6, 8], options, _KINDS.SqueezeOptions)
    axis = ints(net, 0)
    return net.op(_CODES.EXPAND_DIMS, [y, axis], [1, 6, 6, 8], tfl.ExpandDimsOptionsT(), _KINDS.ExpandDimsOptions)


def mirrored(net: Network, x: int) -> int:
    inputs = [x, ints(net, [0, 0], [1, 1], [2, 0], [0, 0])]
    return net.op(_CODES.MIRROR_PAD, inputs, [1, 8, 8, 8], tfl.MirrorPadOptionsT(), _KINDS.MirrorPadOptions)


def gated(net: Network, x: int) -> int:
    """Squeeze and excitation: each channel by a factor that all of its pixels share."""
    options = tfl.ReducerOptionsT()
    options.keepDims = True
    y = net.op(_CODES.MEAN, [x, ints(net, 1, 2)], [1, 1, 1, 8], options, _KINDS.ReducerOptions)
    return net.op(_CODES.MUL, [x, y], net.shape(x), tfl.MulOptionsT(), _KINDS.MulOptions)


def prelu(net: Network, x: int) -> int:
    slopes = net.constant("slopes", np.linspace(-1, 1, 8).reshape(1, 1, 8))
    return net.op(_CODES.PRELU, [x, slopes], net.shape(x))


def constant_pad(net: Network, x: int) -> int:
    value = net.builder.constant("value", np.full(1, 2.5, np.float32))
    inputs = [x, ints(net, [0, 0], [1, 0], [0, 2], [0, 0]), value]
    return net.op(_CODES.PADV2, inputs, [1, 7, 8, 8], tfl.PadV2OptionsT(), _KINDS.PadV2Options)


def build(precision: str, middle: Make, bias: float) -> bytes:
    """A convolution with three empty filters, an operator, and a convolution that does not pad."""
    net = Network(precision, (1, 6, 6, 4), 0)
    rng = np.random.default_rng(0)
    first, last = rng.normal(size=(8, 1, 1, 4)) / 2, rng.normal(size=(4, 1, 1, 8)) / 3
    first[[1, 4, 5]] = 0
    y = middle(net, net.conv(net.x, first, np.full(8, bias), activation=RELU))
    return net.build(net.conv(y, last, np.ones(4)))


#: Operators, and whether channels of one value other than 0 still have one behind them.
BOTH: list[tuple[Make, bool]] = [
    (strided_slice, True),
    (strided_slice_of_masks, True),
    (slice_of_rows, True),
    (transpose, True),
    (nearest, True),
    (rows_to_columns, True),
    (there_and_back, True),
    (squeezed, True),
    (mirrored, True),
    (dilated_by_batches, False),
]
FLOAT: list[tuple[Make, bool]] = [(resize, True), (split, True), (gated, True), (prelu, False), (constant_pad, False)]


@pytest.mark.parametrize(
    ("precision", "middle", "constants"),
    [
        *((precision, *case) for precision in ("float32", "int8") for case in BOTH),
        *(("float32", *case) for case in FLOAT),
        ("int8", gated, False),
    ],
)
def test_channels_pass(precision: str, middle: Make, constants: bool) -> None:
    for bias, goes in ((-1.0, middle is not constant_pad), (0.7, constants)):
        data = build(precision, middle, bias)
        after, layers = shrunk(data)
        assert_same(data, after)
        found = [layer.encoding for layer in layers]
        assert found == (["filters 8 to 5", "inputs 8 to 5"] if goes else [None, None]), bias


def test_a_pad_with_the_value_of_the_channel() -> None:
    data = build("float32", constant_pad, 2.5)
    after, layers = shrunk(data)
    assert layers[0].encoding == "filters 8 to 5"
    assert_same(data, after)


def test_channels_that_are_cut_apart_stay() -> None:
    def half(net: Network, x: int) -> int:
        inputs = [x, ints(net, 0, 0, 0, 2), ints(net, 1, 6, 6, 4)]
        y = net.op(_CODES.SLICE, inputs, [1, 6, 6, 4], tfl.SliceOptionsT(), _KINDS.SliceOptions)
        return net.concat([y, y])

    def moved(net: Network, x: int) -> int:
        inputs = [x, ints(net, 0, 3, 1, 2)]
        y = net.op(_CODES.TRANSPOSE, inputs, [1, 8, 6, 6], tfl.TransposeOptionsT(), _KINDS.TransposeOptions)
        return net.reshape(y, [1, 6, 6, 8])

    for middle, code in ((half, "split"), (moved, "layout")):
        data = build("float32", middle, -1.0)
        after, layers = shrunk(data)
        assert layers[0].reason_code == code
        assert_same(data, after, exact=True)


def test_a_shape_that_is_computed() -> None:
    """As TensorFlow writes Flatten for an unknown batch: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
    net = Network("float32", (1, 6, 6, 4), 0, batch=True)
    rng = np.random.default_rng(0)
    first = rng.normal(size=(8, 1, 1, 4))
    first[[1, 4, 5]] = 0
    y = net.conv(net.x, first, np.full(8, 0.3))
    shape = net.builder.tensor("shape", [4], "int32")
    options = tfl.ShapeOptionsT()
    options.outType = tfl.TensorType.INT32
    net.builder.operator(net.builder.opcode(_CODES.SHAPE), [y], [shape], options, _KINDS.ShapeOptions)
    batch = net.builder.tensor("batch", [], "int32")
    masks = tfl.StridedSliceOptionsT()
    masks.shrinkAxisMask = 1
    inputs = [shape, ints(net, 0), ints(net, 1), ints(net, 1)]
    net.builder.operator(net.builder.opcode(_CODES.STRIDED_SLICE), inputs, [batch], masks, _KINDS.StridedSliceOptions)
    packed = net.builder.tensor("packed", [2], "int32")
    pack = tfl.PackOptionsT()
    pack.valuesCount = 2
    features = net.builder.constant("features", np.array(288, np.int32))
    net.builder.operator(net.builder.opcode(_CODES.PACK), [batch, features], [packed], pack, _KINDS.PackOptions)
    flat = net.op(_CODES.RESHAPE, [y, packed], [1, 288], tfl.ReshapeOptionsT(), _KINDS.ReshapeOptions)
    data = net.build(net.dense(flat, rng.normal(size=(5, 288)) / 17, np.ones(5)))
    after, layers = shrunk(data)
    assert [layer.encoding for layer in layers] == ["filters 8 to 5", "inputs 288 to 180"]
    assert_same(data, after)
    assert_same(data, after, batch=3)
