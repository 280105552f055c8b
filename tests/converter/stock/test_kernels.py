# SPDX-License-Identifier: Apache-2.0
"""Which kernels are cropped to what, and what is put in front of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.converter.stock.graphs import Network, assert_same, run, shrunk
from tests.models.builder import RELU, SAME, VALID
from tfprune.converter.graph import Graph
from tfprune.costs import LayerShape, StockOp, load_table, predict_dense, predict_stock


def kernel(rows: list[int], columns: list[int], shape: tuple[int, int] = (6, 4)) -> np.ndarray:
    """Weights ``[out, kh, kw, in]``, zero outside the given kernel rows and columns."""
    values = np.random.default_rng(0).normal(size=(shape[0], len(rows), len(columns), shape[1])) / 8
    return values * np.array(rows).reshape(1, -1, 1, 1) * np.array(columns).reshape(1, 1, -1, 1)


def convolution(precision: str, values: np.ndarray, depthwise: bool = False, size: int = 9, **options: Any) -> bytes:
    net = Network(precision, (1, size, size, values.shape[3]), 0)
    bias = np.linspace(-1, 1, values.shape[3 if depthwise else 0])
    y = net.depthwise(net.x, values, bias, **options) if depthwise else net.conv(net.x, values, bias, **options)
    return net.build(y)


def names(data: bytes) -> list[str]:
    graph = Graph(data)
    return [graph.op_name(op) for _, _, op in graph.operators() if graph.op_name(op) != "DEQUANTIZE"]


def shape_of_weights(data: bytes) -> tuple[int, ...]:
    graph = Graph(data)
    op = graph.model.subgraphs[0].operators[-1]
    return graph.shape(graph.input_tensor(0, op, 1))


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "uint8", "int16"])
@pytest.mark.parametrize(
    ("rows", "columns", "options", "expected", "front"),
    [
        ([0, 1, 0], [1, 1, 1], {}, (1, 3), []),
        ([0, 1, 0], [0, 1, 0], {}, (1, 1), []),
        ([0, 1, 1], [1, 1, 1], {"padding": VALID}, (2, 3), ["SLICE"]),
        # Padding SAME puts the zeros of two taps behind the image.
        ([0, 1, 1], [0, 1, 1], {}, (2, 2), []),
        ([0, 0, 1], [1, 1, 1], {"stride": (2, 2)}, (1, 3), ["SLICE", "PAD"]),
        ([0, 1, 0], [1, 1, 1], {"padding": VALID, "stride": (2, 1)}, (1, 3), ["SLICE"]),
        ([1, 0, 0], [1, 1, 1], {"padding": VALID, "stride": (2, 2)}, (1, 3), ["SLICE"]),
        ([1, 0, 1, 0, 1], [1, 1, 1], {}, (3, 3), []),
        ([0, 1, 1, 1, 0], [0, 1, 1, 1, 0], {"activation": RELU}, (3, 3), []),
        ([0, 1, 0], [1, 1, 1], {"dilation": (2, 2)}, (1, 3), []),
        ([0, 0, 0], [0, 0, 0], {}, (1, 1), []),
    ],
)
def test_convolutions(
    precision: str,
    rows: list[int],
    columns: list[int],
    options: dict[str, Any],
    expected: tuple[int, int],
    front: list[str],
) -> None:
    values = kernel(rows, columns, (64, 64))
    data = convolution(precision, values, **options)
    after, layers = shrunk(data)
    assert layers[0].verdict == "smaller"
    assert f"kernel {len(rows)}x{len(columns)} to {expected[0]}x{expected[1]}" in (layers[0].encoding or "")
    assert shape_of_weights(after)[1:3] == expected
    assert names(after) == [*front, "CONV_2D"]
    assert_same(data, after)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "uint8", "int16"])
@pytest.mark.parametrize(
    ("rows", "columns", "options", "expected"),
    [
        ([0, 1, 0], [1, 1, 1], {}, (1, 3)),
        ([0, 1, 1], [1, 1, 1], {}, (2, 3)),
        ([0, 0, 1, 0, 0], [0, 1, 1, 1, 0], {"stride": (2, 2)}, (1, 3)),
        ([1, 0, 1], [1, 1, 1], {}, (2, 3)),
    ],
)
def test_depthwise(
    precision: str, rows: list[int], columns: list[int], options: dict[str, Any], expected: tuple[int, int]
) -> None:
    values = kernel(rows, columns, (1, 8))
    data = convolution(precision, values, depthwise=True, **options)
    after, layers = shrunk(data)
    assert layers[0].verdict == "smaller"
    assert shape_of_weights(after)[1:3] == expected
    assert names(after) == ["DEPTHWISE_CONV_2D"]
    assert_same(data, after)


@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "int16"])
@pytest.mark.parametrize(
    ("rows", "stride", "expected"),
    [([0, 1, 0], 2, []), ([0, 1, 1], 2, []), ([1, 1, 0], 2, ["PAD"]), ([1, 1, 0], 1, ["PAD"])],
)
def test_a_pad_of_its_own_becomes_smaller_or_goes(
    precision: str, rows: list[int], stride: int, expected: list[str]
) -> None:
    net = Network(precision, (1, 8, 8, 8), 0)
    padded = net.pad(net.x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    values = kernel(rows, rows, (8, 8))
    data = net.build(net.conv(padded, values, np.ones(8), stride=(stride, stride), padding=VALID))
    after, layers = shrunk(data)
    assert layers[0].verdict == "smaller"
    assert names(after) == [*expected, "CONV_2D"]
    assert_same(data, after)


def test_a_pad_that_others_read_stays() -> None:
    net = Network("float32", (1, 8, 8, 8), 0)
    padded = net.pad(net.x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    y = net.conv(padded, kernel([0, 1, 0], [0, 1, 0], (64, 8)), np.ones(64), padding=VALID)
    data = net.build(y, padded)
    after, _ = shrunk(data)
    assert names(after) == ["PAD", "SLICE", "CONV_2D"]
    assert_same(data, after)


def test_an_image_of_unknown_size() -> None:
    """What is right for every size is done, the rest has a reason."""
    for rows, options, done in [
        ([0, 1, 0], {}, True),
        ([0, 1, 1], {}, True),
        ([1, 1, 0], {}, True),
        ([0, 1, 0], {"stride": (2, 2)}, False),
        ([0, 1, 1, 1, 0], {"stride": (2, 2)}, True),
        ([1, 1, 0], {"padding": VALID}, False),
    ]:
        net = Network("float32", (1, 1, 1, 8), 0)
        net.tensors[net.x].shapeSignature = np.array([1, -1, -1, 8], np.int32)
        options = {"padding": SAME, **options}
        values = kernel(rows, [1, 1, 1], (64, 8))
        net.tensors[net.x].shape = np.array([1, 8, 8, 8], np.int32)
        y = net.conv(net.x, values, np.ones(64), **options)
        net.tensors[y].shapeSignature = np.array([1, -1, -1, 64], np.int32)
        data = net.build(y)
        after, layers = shrunk(data)
        assert (layers[0].verdict == "smaller") == done, (rows, options)
        assert done or layers[0].reason_code == "image_size"
        for size in (7, 8, 10):
            x = np.random.default_rng(size).normal(size=(1, size, size, 8)).astype(np.float32)
            for expected, found in zip(run(data, [x], x.shape), run(after, [x], x.shape), strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_moving_a_large_image_for_a_small_kernel_does_not_pay() -> None:
    values = kernel([1, 1, 1, 1, 0], [1], (1, 8))
    _, layers = shrunk(convolution("float32", values, depthwise=True, padding=VALID))
    assert layers[0].reason_code == "no_gain"


def test_moving_the_image_is_priced_by_the_table() -> None:
    """A SLICE in front is worth it where it is predicted to gain what is asked for; the report counts it."""
    data = convolution("float32", kernel([0, 1, 1], [1, 1, 1], (64, 64)), size=24, padding=VALID)
    table = load_table("arm64")
    after, layers = shrunk(data, table, 1.05)
    assert names(after) == ["SLICE", "CONV_2D"]
    (layer,) = layers
    small = LayerShape(False, 64, 6 * 64, 6, 22 * 22, 23 * 24 * 64)
    moved = predict_stock(table, "float32", StockOp("slice", 0, 23 * 24 * 64))
    assert layer.sparse_time == pytest.approx(predict_dense(table, small) + moved)
    speedup = layer.predicted_speedup
    assert speedup is not None
    assert shrunk(data, table, 0.99 * speedup)[1][0].verdict == "smaller"
    asked = shrunk(data, table, 1.01 * speedup)[1][0]
    assert (asked.verdict, asked.reason_code) == ("dense", "no_gain")
    assert f"{speedup:.2f}x" in (asked.reason or "")
    # Nothing has to be moved for SAME: fewer multiply-adds are enough.
    same = convolution("float32", kernel([0, 1, 1], [1, 1, 1], (64, 64)), size=24)
    assert shrunk(same, table, 100)[1][0].verdict == "smaller"


def test_an_image_is_moved_unpredicted_only_where_asked() -> None:
    table = load_table("arm64")
    costs = table.precisions["float32"]
    ops = {name: op for name, op in costs.stock_ops.items() if name != "slice"}
    table = dataclasses.replace(table, precisions={"float32": dataclasses.replace(costs, stock_ops=ops)})
    data = convolution("float32", kernel([0, 1, 1], [1, 1, 1], (64, 64)), padding=VALID)
    layer = shrunk(data, table)[1][0]
    assert (layer.verdict, layer.reason_code) == ("dense", "not_modelled")
    after, layers = shrunk(data, table, 0.9)
    assert names(after) == ["SLICE", "CONV_2D"]
    assert (layers[0].reason_code, layers[0].sparse_time) == ("not_modelled", None)
    assert_same(data, after)


def test_a_pad_in_front_counts_before_and_after() -> None:
    net = Network("float32", (1, 16, 16, 32), 0)
    padded = net.pad(net.x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    data = net.build(net.conv(padded, kernel([1, 1, 0], [1, 1, 0], (32, 32)), np.ones(32), padding=VALID))
    table = load_table("arm64")
    after, (layer,) = shrunk(data, table, 1.05)
    assert names(after) == ["PAD", "CONV_2D"]
    for time, size, kernel_size in ((layer.dense_time, 18, 3), (layer.sparse_time, 17, 2)):
        shape = LayerShape(False, 32, kernel_size**2 * 32, kernel_size**2, 256, size**2 * 32)
        moved = predict_stock(table, "float32", StockOp("pad", 0, size**2 * 32))
        assert time == pytest.approx(predict_dense(table, shape) + moved)


def test_shared_weights_stay() -> None:
    net = Network("float32", (1, 8, 8, 8), 0)
    y = net.conv(net.x, kernel([0, 1, 0], [0, 1, 0], (8, 8)), np.ones(8))
    y = net.conv(y, kernel([1, 1, 1], [1, 1, 1], (8, 8)), np.ones(8))
    first, second = net.builder.model.subgraphs[0].operators
    second.inputs[1] = first.inputs[1]
    data = net.build(y)
    after, layers = shrunk(data)
    assert [layer.reason_code for layer in layers] == ["shared_weights"] * 2
    assert_same(data, after, exact=True)
