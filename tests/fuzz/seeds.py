# SPDX-License-Identifier: Apache-2.0
"""Sound files that the fuzzer starts from: dense and converted ones of every precision, operator and encoding."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator

import numpy as np

import tfprune
from tests.converter.expand.operators import RELU, VALID, Dense, Maker
from tests.converter.expand.test_builtin_kernels import computed_shape, fully_connected
from tests.converter.stock.graphs import random_network
from tests.converter.test_fidelity import everything
from tests.models import ModelBuilder, conv_model, fully_connected_model, pruned
from tests.models.random_networks import PRECISIONS, RandomNetwork
from tests.models.recurrent import LstmFile, loop_model
from tests.models.sparse_encoding import sparse_model

_WAYS = ({"device": "host"}, {"device": "arm64", "precision": "float16"}, {"target": "stock"})


@functools.cache
def seeds() -> tuple[bytes, ...]:
    """The files, dense ones before what they convert to."""
    found = []
    for dense in _dense():
        found.append(dense)
        for options in _WAYS:
            made = tfprune.convert(dense, min_speedup=1e-6, **options).tflite
            if made not in found:
                found.append(made)
    return tuple(found)


def _dense() -> Iterator[bytes]:
    bias = np.arange(8, dtype=np.float32)
    yield conv_model(pruned((8, 3, 3, 4), rows=2), bias, (1, 5, 5), activation=1)
    yield conv_model(pruned((8, 1, 1, 8)), size=(2, 3, 3))
    yield fully_connected_model(pruned((8, 32)), bias)
    yield _residual()
    yield everything(2).build()
    yield everything(2).build_with_outside_buffers()
    # Rounded by builtin kernels.
    yield computed_shape(Maker("int8", kept=0.1).transpose_conv((1, 4, 4, 16), 12, (3, 3), (2, 2))).data
    yield fully_connected(1, 2, 24, 40, -7, RELU).data
    for precision in PRECISIONS:
        for number in range(3):
            yield RandomNetwork(random.Random(f"{precision} {number}").randint, precision).build()
    # Those that the stock target changes.
    for seed, precision in ((1, "float32"), (4, "float16"), (9, "int8")):
        yield random_network(seed, precision)
    yield sparse_model()
    yield sparse_model(halves=True)
    yield from _recurrent()
    for operator in _operators():
        yield operator.data


def _recurrent() -> Iterator[bytes]:
    yield LstmFile(units=16, features=12, steps=3, batch=2).build()
    yield LstmFile(units=16, features=12, steps=2, halves=True, time_major=True, cell_clip=0.2).build()
    yield loop_model(0.5 * pruned((32, 32)), np.ones(32, np.float32))


def _operators() -> Iterator[Dense]:
    """Those that become sparse ones over an expanded matrix, in the precisions that LiteRT has them in."""
    for precision in ("float32", "dynamic", "int8", "uint8", "int16"):
        maker = Maker(precision, kept=0.06)
        yield maker.conv_2d((1, 4, 5, 48), 48, (3, 3), 3, activation=RELU)
        yield maker.depthwise((1, 5, 4, 64), 4, (5, 5))
        strides = (1, 1) if precision == "int16" else (2, 2)
        yield maker.transpose_conv((1, 4, 3, 32), 24, (3, 3), strides, padding=VALID)
        if precision in ("float32", "dynamic", "int8"):
            yield maker.batch_matmul((2,), 1, 3, 64, 80)
            yield maker.batch_matmul((2,), 0, 3, 64, 160, constant_transposed=True)
    yield Maker(kept=0.06).batch_matmul((2,), 1, 3, 32, 24, left=True)
    yield Maker(kept=0.06).conv_3d((1, 4, 3, 4, 8), 16, (2, 3, 2))
    yield Maker(kept=0.06).conv_3d_transpose((1, 2, 3, 2, 16), 16, (3, 3, 2), (2, 2, 1))


def _residual() -> bytes:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 6, 6, 8], batch=True)
    weights = builder.constant("shared", pruned((8, 3, 3, 8)))
    y = builder.conv_2d(x, weights, np.ones(8, np.float32), activation=1, name="a")
    y = builder.conv_2d(y, weights, name="b")
    builder.io([x], [builder.conv_2d(y, pruned((4, 1, 1, 8)), name="c")])
    builder.signature("serve", {"image": x}, {"features": y})
    return builder.build()
