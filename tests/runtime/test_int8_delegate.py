# SPDX-License-Identifier: Apache-2.0
"""Int8 ops in stock LiteRT with our delegate, against stock LiteRT's dense ops and against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter as StockInterpreter

from tests.runtime.quantized_models import QuantizedLayer, quantized_layer
from tests.runtime.test_quantized_reference import CONVS, oracle, stock
from tfprune.formats import Activation, Encoding, Op, OpSpec, Padding
from tfprune.runtime.delegate import delegate
from tfprune.runtime.library import load_library


def sparse(layer: QuantizedLayer, x: Any, packed: Any = None, threads: int = 1, **options: str) -> Any:
    interpreter = StockInterpreter(
        model_content=layer.sparse(packed), num_threads=threads, experimental_delegates=[delegate(**options)]
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


PACKINGS = [
    (Encoding.ROW_BAND, 4, 4),
    (Encoding.ROW_BAND, 4, 1),
    (Encoding.SLIDING_ROW, 4, 1),
    (Encoding.ROW_BAND, 1, 4),
    (Encoding.BLOCK_ROWS, 4, 1),
    (Encoding.BLOCK_COLUMNS, 1, 1),
]


@pytest.mark.parametrize("packing", PACKINGS)
def test_int8_equals_the_dense_op_bit_for_bit(packing: tuple[Encoding, int, int]) -> None:
    values = 0
    for seed, (size, kernel, stride, activation) in enumerate(
        [
            (28, 1, 1, Activation.NONE),
            (21, 3, 1, Activation.RELU),
            (25, 3, 2, Activation.RELU6),
            (24, 1, 1, Activation.RELU_N1_TO_1),
        ]
    ):
        spec = OpSpec(Op.CONV_2D, 72, 40, kernel, kernel, stride, stride, padding=Padding.SAME, activation=activation)
        layer = quantized_layer(spec, (1, size, size, 40), seed)
        x = layer.random_input(seed)
        expected = stock(layer.dense(), x)
        for threads in (1, 2):
            np.testing.assert_array_equal(sparse(layer, x, layer.packed(*packing), threads), expected)
        assert len(np.unique(expected)) > 60
        values += expected.size
    assert values > 90_000


@pytest.mark.parametrize("spec", [*CONVS, OpSpec(Op.FULLY_CONNECTED, 33, 52, activation=Activation.RELU)])
@pytest.mark.parametrize("dynamic", [False, True])
def test_every_shape_equals_numpy_on_every_arch(spec: OpSpec, dynamic: bool) -> None:
    shape = (5, spec.in_channels) if spec.op == Op.FULLY_CONNECTED else (2, 9, 8, spec.in_channels)
    layer = quantized_layer(spec, shape, 5, dynamic=dynamic)
    x = layer.random_input(1)
    expected = oracle(layer, x)
    detected = load_library().detected_arch
    for arch in [arch for arch in ("reference", "sse2", "avx2", "avx512_vnni") if detected.startswith(("sse", "avx"))]:
        if arch == "avx512_vnni" and detected != arch:
            continue
        for packing in PACKINGS:
            y = sparse(layer, x, layer.packed(*packing), arch=arch)
            assert arch in load_library().last_kernel
            if dynamic:
                np.testing.assert_allclose(y, expected, rtol=1e-5, atol=2e-6 * np.abs(expected).max())
            else:
                np.testing.assert_array_equal(y, expected)


def test_dynamic_range_equals_the_dense_op() -> None:
    for spec, shape in (
        (OpSpec(Op.CONV_2D, 64, 48, padding=Padding.SAME), (2, 14, 14, 48)),
        (OpSpec(Op.CONV_2D, 64, 48, 3, 3, padding=Padding.SAME), (2, 14, 14, 48)),
        (OpSpec(Op.FULLY_CONNECTED, 128, 256), (4, 256)),
    ):
        layer = quantized_layer(spec, shape, 3, dynamic=True)
        x = layer.random_input(2)
        expected = stock(layer.dense(), x)
        np.testing.assert_allclose(
            sparse(layer, x, layer.packed(cols=4)), expected, rtol=1e-5, atol=2e-6 * np.abs(expected).max()
        )


def test_tensors_of_the_wrong_type_are_refused() -> None:
    spec = OpSpec(Op.FULLY_CONNECTED, 8, 8)
    int8, dynamic = quantized_layer(spec, (1, 8)), quantized_layer(spec, (1, 8), dynamic=True)
    with pytest.raises(RuntimeError, match="input has TFLite type 9, must be 1"):
        sparse(int8, int8.random_input(), dynamic.packed())
    with pytest.raises(RuntimeError, match="input has TFLite type 1, must be 9"):
        sparse(dynamic, dynamic.random_input(), int8.packed())
