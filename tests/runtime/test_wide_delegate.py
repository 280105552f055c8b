# SPDX-License-Identifier: Apache-2.0
"""Ops with int16 and uint8 activations in stock LiteRT with our delegate, against stock LiteRT's dense ops."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.runtime.quantized_models import QuantizedLayer, quantized_layer, wide_layer
from tests.runtime.test_builtin_rounding import ACTIVATIONS, CONV_KINDS, DENSE_KINDS
from tests.runtime.test_int8_delegate import PACKINGS, sparse
from tests.runtime.test_quantized_reference import CONVS, oracle, stock
from tfprune.formats import Activation, Encoding, Op, OpSpec, Padding, Rounding
from tfprune.runtime.library import load_library


def check(layer: QuantizedLayer, seed: int = 0, threads: tuple[int, ...] = (1, 2)) -> Any:
    """Every packing gives the stock op's bytes, which are returned."""
    x = layer.random_input(seed)
    expected = stock(layer.dense(), x)
    for packing in PACKINGS:
        for count in threads:
            np.testing.assert_array_equal(sparse(layer, x, layer.packed(*packing), count), expected)
    return expected


@pytest.mark.parametrize("kind", CONV_KINDS)
def test_convolutions_equal_the_dense_op_bit_for_bit(kind: tuple[str, str]) -> None:
    values = 0
    for seed, (size, kernel, stride) in enumerate([(28, 1, 1), (21, 3, 1), (25, 3, 2)]):
        spec = OpSpec(Op.CONV_2D, 72, 40, kernel, kernel, stride, stride, padding=Padding.SAME)
        layer = wide_layer(spec, (1, size, size, 40), seed, activations=kind[0], bias=kind[1])
        expected = check(layer, seed)
        assert len(np.unique(expected)) > 100
        values += expected.size
    assert values > 90_000


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", DENSE_KINDS)
def test_fully_connected_equals_the_dense_op_bit_for_bit(activation: Activation, kind: tuple[str, str | None]) -> None:
    for seed, (rows, batch) in enumerate([(1, 5), (33, 1), (48, 300)]):
        spec = OpSpec(Op.FULLY_CONNECTED, rows, 60, activation=activation)
        check(wide_layer(spec, (batch, 60), seed, activations=kind[0], bias=kind[1]), seed, threads=(1,))


@pytest.mark.parametrize("spec", CONVS)
@pytest.mark.parametrize("kind", CONV_KINDS)
def test_every_shape_on_every_arch(spec: OpSpec, kind: tuple[str, str]) -> None:
    layer = wide_layer(spec, (2, 9, 8, spec.in_channels), 5, activations=kind[0], bias=kind[1])
    x = layer.random_input(1)
    expected = stock(layer.dense(), x)
    detected = load_library().detected_arch
    for arch in [arch for arch in ("reference", "sse2", "avx2", "avx512_vnni") if detected.startswith(("sse", "avx"))]:
        if arch == "avx512_vnni" and detected != arch:
            continue
        for packing in PACKINGS:
            np.testing.assert_array_equal(sparse(layer, x, layer.packed(*packing), arch=arch), expected)
            assert arch in load_library().last_kernel


def test_a_bias_that_the_stock_op_misreads_is_refused() -> None:
    spec = OpSpec(Op.CONV_2D, 8, 8)
    layer = wide_layer(spec, (1, 4, 4, 8), bias="int32")
    with pytest.raises(RuntimeError, match="bias of int16 activations must be int64"):
        sparse(layer, layer.random_input())


def test_tensors_of_the_wrong_type_are_refused() -> None:
    spec = OpSpec(Op.FULLY_CONNECTED, 8, 8)
    int16, uint8 = (wide_layer(spec, (1, 8), activations=kind, bias=None) for kind in ("int16", "uint8"))
    with pytest.raises(RuntimeError, match="input has TFLite type 7, must be 3"):
        sparse(int16, int16.random_input(), uint8.packed(Encoding.ROW_BAND, 4, 1))
    with pytest.raises(RuntimeError, match="input has TFLite type 3, must be 7"):
        sparse(uint8, uint8.random_input(), int16.packed(Encoding.ROW_BAND, 4, 1))


@pytest.mark.parametrize("rounding", [Rounding.BUILTIN, Rounding.BUILTIN_CHANNELS, Rounding.BUILTIN_AWAY])
@pytest.mark.parametrize("op", [Op.CONV_2D, Op.FULLY_CONNECTED])
def test_int8_that_builtin_kernels_round_equals_numpy(op: Op, rounding: Rounding) -> None:
    """The converter's tests compare them with the stock ops."""
    kernel, shape = ((3, 3), (2, 9, 8, 24)) if op == Op.CONV_2D else ((1, 1), (70, 24))
    spec = OpSpec(op, 60, 24, *kernel, activation=Activation.RELU_N1_TO_1)
    layer = quantized_layer(spec, shape, 3)
    fields = {"stock_channels": 20} if rounding == Rounding.BUILTIN_CHANNELS else {"weight_zero_point": -3}
    quantization = dataclasses.replace(layer.quantization, rounding=rounding, **fields)
    layer = dataclasses.replace(layer, quantization=quantization, matrix=np.maximum(layer.matrix, -120))
    x = layer.random_input(1)
    expected = oracle(layer, x)
    assert len(np.unique(expected)) > 20
    for packing in PACKINGS:
        for arch in ("reference", "auto"):
            options = {} if arch == "auto" else {"arch": arch}
            np.testing.assert_array_equal(sparse(layer, x, layer.packed(*packing), **options), expected)
            assert ("int16" in load_library().last_kernel) == ("weight_zero_point" in fields)
