# SPDX-License-Identifier: Apache-2.0
"""From ``fit`` with the callback to a sparse file on stock LiteRT, through the public names alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter as StockInterpreter

import tfprune as tp

STEADY_COSTS = Path(__file__).parent.parent / "converter" / "steady_costs.json"
SPARSITY = 0.8


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    """A small network that was pruned while it trained; its model was fitted, saved and loaded nowhere else."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    network = keras.Sequential(
        [
            keras.Input((12, 12, 16)),
            keras.layers.Conv2D(32, 3, padding="same", use_bias=False, name="first"),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.ReLU(),
            keras.layers.Conv2D(32, 3, strides=2, padding="same", name="second"),
            keras.layers.ReLU(max_value=6.0),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu", name="hidden"),
            keras.layers.Dense(5, name="logits"),
        ]
    )
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    pruning = tp.PruningCallback(
        tp.patterns.Groups(rows=4, aligned=False), tp.schedules.PolynomialDecay(final_sparsity=SPARSITY, frequency=2)
    )
    images = rng.standard_normal((128, 12, 12, 16)).astype(np.float32)
    network.fit(images, rng.integers(0, 5, 128), batch_size=16, epochs=3, verbose=0, callbacks=[pruning])
    return network


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((6, 12, 12, 16)).astype(np.float32)


def test_sparse_file_answers_like_keras(trained: keras.Model, images: np.ndarray, tmp_path: Path) -> None:
    converted = tp.convert(trained, device=STEADY_COSTS)
    assert {layer.verdict for layer in converted.report.layers if layer.sparsity and layer.sparsity > 0.5} == {"sparse"}
    assert converted.report.converted_layers == 3
    assert len(converted.tflite) < 0.45 * len(converted.dense)
    converted.save(tmp_path / "sparse.tflite")
    converted.save_dense(tmp_path / "dense.tflite")
    assert tp.verify(tmp_path / "dense.tflite", tmp_path / "sparse.tflite")
    assert tp.verify(tmp_path / "dense.tflite", tmp_path / "sparse.tflite", images)
    logits = np.asarray(tp.Interpreter(tmp_path / "sparse.tflite").predict(images))
    expected = np.asarray(trained.predict(images, verbose=0))
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_stock_interpreter_with_our_delegate(trained: keras.Model, images: np.ndarray) -> None:
    converted = tp.convert(trained, device=STEADY_COSTS)
    interpreter = StockInterpreter(model_content=converted.tflite, experimental_delegates=[tp.delegate()])
    source = interpreter.get_input_details()[0]["index"]
    for batch in (1, 3, 2):
        interpreter.resize_tensor_input(source, (batch, *images.shape[1:]))
        interpreter.allocate_tensors()
        interpreter.set_tensor(source, images[:batch])
        interpreter.invoke()
        answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        expected = np.asarray(tp.Interpreter(converted.dense).predict(images[:batch]))
        np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_sparse_file_without_delegate_is_refused_by_litert(trained: keras.Model) -> None:
    converted = tp.convert(trained, device=STEADY_COSTS)
    with pytest.raises((RuntimeError, ValueError), match="Tfprune"):
        StockInterpreter(model_content=converted.tflite).allocate_tensors()


def test_a_wrong_weight_is_noticed(trained: keras.Model, images: np.ndarray) -> None:
    converted = tp.convert(trained, device=STEADY_COSTS)
    twin = keras.models.clone_model(trained)
    twin.set_weights(trained.get_weights())
    kernel = twin.get_layer("second").kernel.numpy()
    kernel[tuple(np.argwhere(kernel)[0])] += 1.0
    twin.get_layer("second").kernel.assign(kernel)
    other = tp.convert(twin, device=STEADY_COSTS)
    # Clones bear other names, so the same file's dense side is compared by its numbers.
    left = np.asarray(tp.Interpreter(converted.dense).predict(images))
    right = np.asarray(tp.Interpreter(other.tflite).predict(images))
    assert np.abs(left - right).max() > 1e-3 * np.abs(left).max()


def test_the_same_on_the_command_line(trained: keras.Model, images: np.ndarray, tmp_path: Path) -> None:
    trained.save(tmp_path / "network.keras")
    np.save(tmp_path / "images.npy", images)

    def command(*arguments: object) -> dict[str, object]:
        done = subprocess.run(
            [sys.executable, "-c", "from tfprune.cli import main; main()", *map(str, arguments), "--json"],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(tp.__file__).parent.parent)},
        )
        return dict(json.loads(done.stdout))

    command("convert", "network.keras", "--device", STEADY_COSTS, "--dense-output", "dense.tflite")
    assert command("verify", "dense.tflite", "network.sparse.tflite", "--data", "images.npy")["ok"] is True
    timings = command("benchmark", "dense.tflite", "network.sparse.tflite", "--runs", 1)["timings"]
    assert isinstance(timings, list)
    assert len(timings) == 2
