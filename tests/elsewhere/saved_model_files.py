# SPDX-License-Identifier: Apache-2.0
"""SavedModels converted by ``tf.lite.TFLiteConverter.from_saved_model``: several signatures, branches, loops."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tests.elsewhere.check import Exported
from tests.models import pruned

_ROW, _ROWS = tf.TensorSpec([1, 64], tf.float32), tf.TensorSpec([8, 64], tf.float32)


class Network(tf.Module):
    """Products with shared variables, behind several functions."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.classes = tf.Variable(pruned((256, 64)).T), tf.Variable(pruned((64, 256), seed=1).T)
        self.state = tf.Variable(0.3 * pruned((64, 64), seed=2).T)

    def _classify(self, x: Any) -> Any:
        return tf.nn.relu(x @ self.hidden) @ self.classes

    @tf.function(input_signature=[_ROW])
    def single(self, x: Any) -> Any:
        return {"y": self._classify(x)}

    @tf.function(input_signature=[_ROWS])
    def several(self, x: Any) -> Any:
        return {"y": self._classify(x)}

    @tf.function(input_signature=[_ROW])
    def encode(self, x: Any) -> Any:
        return {"h": tf.nn.relu(x @ self.hidden)}

    @tf.function(input_signature=[_ROW, tf.TensorSpec([], tf.bool)])
    def branch(self, x: Any, flag: Any) -> Any:
        return {"y": tf.cond(flag, lambda: self._classify(x), lambda: self._classify(2 * x))}

    @tf.function(input_signature=[_ROW, tf.TensorSpec([], tf.int32)])
    def loop(self, x: Any, turns: Any) -> Any:
        def turn(i: Any, x: Any) -> Any:
            return i + 1, tf.tanh(x @ self.state)

        return {"y": tf.while_loop(lambda i, _: i < turns, turn, (0, x))[1]}


def _file(names: Sequence[str], *optimizations: Any) -> Exported:
    network = Network()
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(network, folder, signatures={name: getattr(network, name) for name in names})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(names))
        converter.optimizations = list(optimizations)
        return Exported(bytes(converter.convert()))


#: Files by name.
FILES: dict[str, Callable[[], Exported]] = {
    "three signatures": lambda: _file(["single", "several", "encode"]),
    "two signatures, dynamic range": lambda: _file(["single", "several"], tf.lite.Optimize.DEFAULT),
    "tf.cond": functools.partial(_file, ["branch"]),
    "tf.while_loop": functools.partial(_file, ["loop"]),
}
