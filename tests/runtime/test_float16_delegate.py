# SPDX-License-Identifier: Apache-2.0
"""Float16 weights in stock LiteRT with our delegate: the same as float32 weights of the same values."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.runtime.tiny_models import TinyLayer, conv_layer, dense_layer
from tfprune.formats import Encoding, encode
from tfprune.runtime import reference
from tfprune.runtime.interpreter import Interpreter


def _rounded(layer: TinyLayer) -> TinyLayer:
    return dataclasses.replace(layer, matrix=layer.matrix.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("encoding", [Encoding.ROW_BAND, Encoding.SLIDING_ROW])
@pytest.mark.parametrize("layer", [_rounded(conv_layer()), _rounded(conv_layer(kernel=1)), _rounded(dense_layer())])
def test_float16_weights_give_the_bytes_of_float32_ones(layer: TinyLayer, encoding: Encoding) -> None:
    halves = encode(layer.matrix.astype(np.float16), layer.spec, encoding, 4)
    x = np.random.default_rng(0).standard_normal(layer.input_shape).astype(np.float32)
    y = Interpreter(layer.sparse(halves)).predict(x)
    np.testing.assert_array_equal(y, Interpreter(layer.sparse(layer.packed(encoding))).predict(x))
    run = reference.conv2d if len(layer.input_shape) == 4 else reference.fully_connected
    np.testing.assert_array_equal(run(x, halves, layer.bias), run(x, layer.packed(encoding), layer.bias))
    assert len(halves) < len(layer.packed(encoding))
