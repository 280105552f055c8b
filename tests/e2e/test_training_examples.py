# SPDX-License-Identifier: Apache-2.0
"""The examples of training run in their quick form, and do what they say."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter as StockInterpreter

import tfprune as tp

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PRUNED_LAYERS = ("conv1", "conv2")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs ``examples/<name>.py --quick`` and returns its results."""
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def quick(name: str) -> Any:
        keras.backend.clear_session(free_memory=False)
        return importlib.import_module(name).main(["--quick"], standalone_mode=False)

    return quick


def _sparsities(report: Any) -> list[float]:
    rows = [row for row in report.layers if row.status == "pruned"]
    assert tuple(row.layer for row in rows) == PRUNED_LAYERS
    return [round(row.achieved, 3) for row in rows]


@pytest.mark.slow
def test_transfer_learning(run: Any) -> None:
    results = run("transfer_learning")
    assert _sparsities(results.pruning) == [0.8, 0.8]
    assert results.tuned > results.head_alone > 0.6
    assert results.tuned_and_pruned > results.tuned - 0.05
    assert results.converted.report.converted_layers == 2


def test_custom_loop(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    results = run("custom_loop")
    assert _sparsities(results.pruning) == [0.8, 0.8]
    assert results.sparsity == sorted(results.sparsity)
    assert 0.3 < results.sparsity[0] < 0.79
    assert results.accuracy > 0.75
    assert results.file_accuracy == pytest.approx(results.accuracy, abs=0.001)
    printed = capsys.readouterr().out
    assert "epoch 4: loss" in printed
    assert "weights pruned; sparsity 0.80" in printed


@pytest.mark.slow
def test_distillation(run: Any) -> None:
    results = run("distillation")
    assert _sparsities(results.pruning) == [0.95, 0.95]
    assert results.dense[0] > 0.78
    # Which of both is better is what the example is there to find out.
    assert min(results.labels_alone[0], results.with_teacher[0]) > results.dense[0] - 0.12
    assert results.labels_alone != results.with_teacher


def test_the_teacher_is_no_part_of_the_student(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    distillation = importlib.import_module("distillation")
    given = keras.Input((8,))
    student = distillation.Student(given, keras.layers.Dense(3)(given))
    teacher = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    student.teacher_logits = lambda x: teacher(x, training=False)
    assert len(student.weights) == 2
    student.compile("sgd")
    x, y = np.ones((4, 8), np.float32), np.zeros(4, np.int32)
    before = [np.array(each) for each in teacher.weights]
    student.fit(x, y, epochs=2, verbose=0)
    for value, weight in zip(before, teacher.weights, strict=True):
        np.testing.assert_array_equal(value, weight)


@pytest.mark.slow
def test_quantization_aware_training_keeps_the_zeros(run: Any) -> None:
    results = run("quantization_aware")
    for name in PRUNED_LAYERS:
        before, after = (model.get_layer(name).kernel.numpy() for model in (results.pruned, results.aware))
        np.testing.assert_array_equal(before == 0, after == 0)
        assert round(float((after == 0).mean()), 3) == 0.8
        stored = _int8_kernel(results.int8_with.dense, np.transpose(after, (3, 0, 1, 2)).shape)
        assert (stored[np.transpose(after == 0, (3, 0, 1, 2))] == 0).all()
    found = results.accuracies
    assert found["pruned, float32"] > 0.75
    assert found["trained on with rounding, int8"] > found["pruned, float32"] - 0.015
    assert found["trained on with rounding, int8"] > found["trained on, then int8"] - 0.015
    assert found["trained on with rounding, int8"] == pytest.approx(found["trained on with rounding, Keras"], abs=0.01)
    _ranges_are_those_of_training(results.aware, results.int8_with.dense)


def _tensors(content: bytes) -> tuple[StockInterpreter, list[dict[str, Any]]]:
    interpreter = StockInterpreter(model_content=content)
    return interpreter, interpreter.get_tensor_details()


def _int8_kernel(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    interpreter, tensors = _tensors(content)
    (index,) = [each["index"] for each in tensors if tuple(each["shape"]) == shape and each["dtype"] is np.int8]
    return interpreter.get_tensor(index)


def _ranges_are_those_of_training(aware: keras.Model, content: bytes) -> None:
    """The file has the scale of every range that fake quantization learned, and not one of the examples."""
    scales = [
        float(each["quantization_parameters"]["scales"][0]) for each in _tensors(content)[1] if each["dtype"] is np.int8
    ]
    for name in ("stem", *PRUNED_LAYERS, "pool", "logits"):
        learned = aware.get_layer(name).reads
        wanted = (float(learned.high.value) - float(learned.low.value)) / 255
        assert min(abs(scale / wanted - 1) for scale in scales) < 1e-3, name


@pytest.mark.parametrize("steps", [1, 3])
def test_zeros_are_kept_in_every_step_of_quantization_aware_training(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    network = importlib.import_module("fashion.network")
    quantized = importlib.import_module("fashion.quantized")
    keras.utils.set_random_seed(0)
    model = network.small()
    for name in PRUNED_LAYERS:
        kernel = model.get_layer(name).kernel
        kernel.assign(kernel * tp.select(kernel.numpy(), tp.patterns.Groups(rows=4), 0.8))
    aware = quantized.quantization_aware(model)
    zeros = {name: aware.get_layer(name).kernel.numpy() == 0 for name in PRUNED_LAYERS}
    counts = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            for name in PRUNED_LAYERS:
                layer = aware.get_layer(name)
                assert (layer.kernel.numpy()[zeros[name]] == 0).all()
            counts.append(batch)

    aware.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=steps,
    )
    images = np.random.default_rng(0).standard_normal((48, 28, 28, 1)).astype(np.float32)
    pruning = tp.PruningCallback(tp.patterns.Groups(rows=4), tp.schedules.OneShot(0.8))
    before = aware.get_layer("conv2").kernel.numpy()
    aware.fit(images, np.arange(48) % 10, batch_size=8, verbose=0, callbacks=[pruning, Watch()])
    assert len(counts) == 6 // steps
    after = aware.get_layer("conv2").kernel.numpy()
    assert (after[~zeros["conv2"]] != before[~zeros["conv2"]]).mean() > 0.99


def test_the_folded_copy_answers_like_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    network = importlib.import_module("fashion.network")
    quantized = importlib.import_module("fashion.quantized")
    keras.utils.set_random_seed(0)
    model = network.resnet20(4)
    images = np.random.default_rng(0).standard_normal((64, 28, 28, 1)).astype(np.float32)
    model.compile("sgd", "mse")
    model.fit(images, np.zeros((64, 10)), verbose=0)  # so that BatchNorm has averages of its own
    aware = quantized.quantization_aware(model)
    aware(images, training=True)  # learns the ranges, changes nothing else
    expected, found = model(images).numpy(), aware(images).numpy()
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()
    assert np.abs(found - expected).max() > 0  # it does round


@pytest.mark.slow
def test_automatic_mapping(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    results = run("automatic_mapping")
    assert results.mapping.met
    assert results.dense_accuracy > 0.7
    for outcome in (results.by_rules, results.emerged):
        assert outcome.accuracy > results.dense_accuracy - 0.1
        assert outcome.speedup > 1.3
    assert results.by_rules.rates != results.emerged.rates
    assert "rates that emerged: accuracy" in capsys.readouterr().out


@pytest.mark.slow
def test_train_with_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    keras.utils.set_random_seed(0)
    model = importlib.import_module("fashion.network").small()
    model.save(tmp_path / "trained.keras")
    tp.mapping.rules(model, "arm64", latency_ratio=0.6).save_recipe(tmp_path / "recipe.yaml")
    arguments = [str(tmp_path / "trained.keras"), "--recipe", str(tmp_path / "recipe.yaml")]

    importlib.import_module("train_with_recipe").main(
        [*arguments, "--output", str(tmp_path / "pruned.keras"), "--quick", "--epochs", "1"], standalone_mode=False
    )

    converted = tp.convert(tmp_path / "pruned.keras", device="arm64")
    assert converted.report.converted_layers >= 1
    assert converted.report.totals.final_time < 0.7 * converted.report.totals.dense_time
