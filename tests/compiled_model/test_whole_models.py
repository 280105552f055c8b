# SPDX-License-Identifier: Apache-2.0
"""Whole models in LiteRT's CompiledModel give the answers of the delegate."""

from __future__ import annotations

import contextlib
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import tfprune as tp
from tests.compiled_model.litert import CompiledModel, LiteRtError, Tfprune
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.select import select


def convolutional(seed: int = 0) -> Any:
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((16, 16, 8), name="image")
    x = keras.layers.Conv2D(32, 3, padding="same", activation="relu", name="same")(x)
    x = keras.layers.Conv2D(48, 3, strides=2, name="valid")(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = keras.layers.Conv2D(64, 1, activation="relu6", name="pointwise")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(96, name="hidden")(x)
    return keras.Model(inputs, keras.layers.Dense(10, name="classes")(x))


def pruned(model: Any, sparsity: float = 0.8) -> Any:
    for layer in model.layers:
        if layer.name in ("same", "valid", "pointwise", "hidden"):
            mask = select(layer.kernel.numpy(), Groups(rows=4), sparsity)
            layer.kernel.assign(np.where(mask, layer.kernel.numpy(), 0))
    return model


def converted(model: Any, **options: Any) -> bytes:
    return tp.convert(model, min_speedup=0.01, **options).tflite


def images(count: int = 1, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 16, 16, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def content() -> bytes:
    return converted(pruned(convolutional()))


@pytest.fixture
def ops() -> Tfprune:
    found = Tfprune()
    found.clear_error()
    found.set_threads(1)
    return found


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic", "int8"])
@pytest.mark.parametrize("threads", [1, 2])
def test_convolutions_and_dense_layers(precision: str, threads: int, ops: Tfprune) -> None:
    examples = images(16) if precision == "int8" else None
    content = converted(pruned(convolutional()), precision=precision, representative_data=examples)
    interpreter = tp.Interpreter(content, num_threads=threads)
    assert sum(op.startswith("Tfprune") for op in interpreter.custom_ops) >= 2
    ops.set_threads(threads)
    with CompiledModel(content, ops) as model:
        for seed in range(3):
            (found,) = model.run(images(seed=seed))
            expected = interpreter.predict(images(seed=seed))
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    assert not ops.last_error


def test_models_of_one_shape_do_not_meet(ops: Tfprune) -> None:
    files = [converted(pruned(convolutional(seed))) for seed in (1, 2)]
    expected = [tp.Interpreter(file).predict(images()) for file in files]
    assert np.abs(expected[0] - expected[1]).max() > 0.5 * np.abs(expected[0]).max()
    with CompiledModel(files[0], ops) as first:
        for _ in range(2):
            with CompiledModel(files[1], ops) as second:
                np.testing.assert_allclose(second.run(images())[0], expected[1], rtol=0, atol=1e-7)
                np.testing.assert_allclose(first.run(images())[0], expected[0], rtol=0, atol=1e-7)
    assert not ops.last_error


def test_other_weights_in_the_same_memory_are_seen(ops: Tfprune) -> None:
    files = [converted(pruned(convolutional(seed))) for seed in (1, 2)]
    size = max(map(len, files))
    expected = [tp.Interpreter(file).predict(images()) for file in files]
    with CompiledModel(files[0].ljust(size, b"\0"), ops):  # the ops stay alive between the others
        for file, answer in zip(files, expected, strict=True):
            with CompiledModel(file.ljust(size, b"\0"), ops) as model:
                np.testing.assert_allclose(model.run(images())[0], answer, rtol=0, atol=1e-7)


def test_batches_of_another_size(content: bytes, ops: Tfprune) -> None:
    with CompiledModel(content, ops) as model:
        for count in (1, 3, 2):
            model.resize(0, (count, 16, 16, 8))
            (found,) = model.run(images(count))
            np.testing.assert_allclose(found, tp.Interpreter(content).predict(images(count)), rtol=0, atol=1e-7)


def test_models_run_on_several_threads_at_once(ops: Tfprune) -> None:
    files = [converted(pruned(convolutional(seed))) for seed in (1, 2)]
    expected = [tp.Interpreter(file).predict(images()) for file in files]

    def runs(file: bytes) -> list[np.ndarray]:
        # Two of one file share no memory; LiteRT's functions let other threads of Python run meanwhile.
        with CompiledModel(file, ops) as model:
            return [model.run(images())[0] for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        for file, answers in zip([*files, *files], pool.map(runs, [*files, *files]), strict=True):
            for answer in answers:
                np.testing.assert_allclose(answer, expected[files.index(file)], rtol=0, atol=1e-7)
    assert not ops.last_error


def test_nothing_is_left_behind(content: bytes, ops: Tfprune) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    def rounds(count: int) -> None:
        for _ in range(count):
            with CompiledModel(content, ops) as model:
                model.run(images())

    rounds(30)
    before = resident()
    rounds(200)
    # The weights alone would be 200 times 30 kB.
    assert resident() - before < 3 << 20


def test_without_the_ops_such_a_model_is_refused(content: bytes) -> None:
    with CompiledModel(content, None) as model, pytest.raises(LiteRtError):
        model.run(images())


def test_an_error_is_told_where_the_runtime_drops_it(content: bytes, ops: Tfprune) -> None:
    header = content.index(b"TFPK")
    broken = bytearray(content)
    broken[header + 8] ^= 0xFF
    with CompiledModel(bytes(broken), ops) as model:
        # LiteRT may say that the run has failed, or not.
        with contextlib.suppress(LiteRtError):
            model.run(images())
        assert ops.last_error.startswith("TfpruneConv2D: "), ops.last_error
    ops.clear_error()
    assert not ops.last_error


def test_no_options_are_refused_in_words(ops: Tfprune) -> None:
    assert ops.add_custom_ops(None) != 0
    assert ops.last_error == "tfprune_add_custom_ops: options must be a LiteRtOptions, got null"


@pytest.mark.parametrize("count", [0, -1, 65])
def test_threads_out_of_range_are_refused_in_words(count: int, ops: Tfprune) -> None:
    assert ops.set_threads(count) != 0
    assert ops.last_error == f"tfprune_set_custom_op_threads: count must be from 1 to 64, got {count}"
