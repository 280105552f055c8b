# SPDX-License-Identifier: Apache-2.0
"""How sensitive layers are, of a model in which one matters and another does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.mapping.searching.models import data, trained, training_data
from tfprune.errors import MappingError, OutputError
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.judging.metric import Metric
from tfprune.mapping.sensitivity_analysis import SensitivityReport, measure_alone, sensitivity
from tfprune.sparsity.patterns import BlockPunched, Groups

_CHOICES = (DENSE, Choice(Groups(4), 0.5), Choice(Groups(4), 0.9), Choice(BlockPunched(8, 4), 0.97))


def _model(epochs: int = 5) -> Any:
    """``idle`` adds nothing: what it computes is multiplied by 0."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    inputs = keras.Input((12, 12, 3))
    stem = layers.Conv2D(32, 3, padding="same", activation="relu", name="stem")(inputs)
    needed = layers.Conv2D(32, 3, padding="same", activation="relu", name="needed")(stem)
    idle = layers.Conv2D(32, 3, padding="same", name="idle")(stem)
    idle = layers.BatchNormalization(gamma_initializer="zeros", trainable=False, name="nothing")(idle)
    hidden = layers.Flatten()(layers.AveragePooling2D(3)(layers.Add()([needed, idle])))
    model = keras.Model(inputs, layers.Dense(4)(hidden), name="branches")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss, metrics=["accuracy"])
    model.fit(*data(512, seed=2), epochs=epochs, batch_size=32, verbose=0)
    return model


@pytest.fixture(scope="module")
def report() -> SensitivityReport:
    model = _model()
    before = model.get_weights()
    candidates = {"needed": _CHOICES, "idle": _CHOICES, "stem": (DENSE,)}
    numpy_numbers = {"batch_size": np.int64(128), "seed": np.int64(0)}
    found = sensitivity(
        model, data(), "arm64", candidates, training_data=training_data(), progress=False, **numpy_numbers
    )
    assert all((old == new).all() for old, new in zip(before, model.get_weights(), strict=True))
    return found


def test_only_the_layer_that_matters_loses(report: SensitivityReport) -> None:
    assert [(row.layer, row.choice) for row in report.rows] == [
        (name, choice) for name in ("needed", "idle") for choice in _CHOICES[1:]
    ]
    losses = {name: [row.loss for row in report.rows if row.layer == name] for name in ("needed", "idle")}
    assert losses["idle"] == [0, 0, 0]
    assert max(losses["needed"]) > 0.02
    assert report.dense_accuracy > 0.6
    for row in report.rows:
        assert row.loss == pytest.approx(report.dense_accuracy - row.accuracy)


def test_it_says_what_layers_take(report: SensitivityReport) -> None:
    for row in report.rows:
        assert row.dense_time is not None
        assert row.time is not None
        assert row.time < row.dense_time or not row.sparse
    assert any(row.sparse for row in report.rows)


def test_it_is_a_table_plain_values_and_a_picture(report: SensitivityReport, tmp_path: Path) -> None:
    lines = str(report).splitlines()
    assert lines[0].startswith("branches: 2 layers alone under 6 choices; accuracy of the dense model 0.")
    assert len(lines) == 3 + 6
    assert report._repr_html_().count("<tr>") == 1 + 6
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["layers"][0]["choice"] == str(_CHOICES[1])
    assert set(report.alone["idle"]) == set(_CHOICES[1:])
    figure = report.plot(tmp_path / "loss.png")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["needed", "idle"]
    points = sorted(figure.axes[0].lines[1].get_xydata().tolist())
    expected = [[row.choice.sparsity, row.loss] for row in report.rows[:2]]
    assert points == [pytest.approx(each) for each in expected]
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputError, match="exists already"):
        report.plot(tmp_path / "loss.png")
    report.plot(tmp_path / "loss.png", layers=["idle"], overwrite=True)
    with pytest.raises(MappingError, match="one of needed, idle, got stem"):
        report.plot(layers=["stem"])
    with pytest.raises(OutputError, match=r"must end in one of .pdf, .png, .svg"):
        report.plot(tmp_path / "loss.gif")


def test_higher_rates_of_a_pattern_that_loses_enough_are_not_run() -> None:
    class Evaluator:
        """Loses half of the sparsity."""

        dense = 0.9
        metric = Metric(higher_is_better=True)

        def __init__(self) -> None:
            self.run: list[Choice] = []

        def accuracy(self, choices: dict[str, Choice]) -> float:
            self.run += choices.values()
            return 0.9 - self.run[-1].sparsity / 2

    choices = [Choice(pattern, rate) for rate in (0.9, 0.7, 0.5) for pattern in (Groups(4), Groups(8))]
    evaluator, every = Evaluator(), Evaluator()
    found = measure_alone(evaluator, {"layer": choices}, enough=0.3)["layer"]  # type: ignore[arg-type]
    assert [choice.sparsity for choice in evaluator.run] == [0.5, 0.5, 0.7, 0.7]
    # What was not run has no value, now and when the search goes on.
    assert list(found) == choices[2:]
    assert found[choices[2]] == pytest.approx(0.55)
    known = {"layer": found}
    assert measure_alone(evaluator, {"layer": choices}, known=known, enough=0.3) == known  # type: ignore[arg-type]
    assert len(evaluator.run) == 4
    measure_alone(every, {"layer": choices})  # type: ignore[arg-type]
    assert len(every.run) == 6


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": -3}, "batch_size must be a whole number of at least 1, got -3"),
        ({"batch_size": None}, "batch_size must be a whole number of at least 1, got None"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"seed": "x"}, "seed must be a whole number of at least 0, got 'x'"),
        ({"candidates": [1]}, r"candidates must be lists of choices by layer name, got \[1\]"),
        ({"candidates": {}}, r"candidates must have at least one choice that is not dense, got \{\}"),
        ({"candidates": {"second": (DENSE,)}}, "candidates must have at least one choice that is not dense"),
        ({"validation_data": None}, "validation_data: give examples with labels"),
        ({"custom_objects": 3}, "custom_objects must be classes and functions by name, got 3"),
        ({"metric": None}, "metric must be the name of a compiled metric"),
        ({"evaluate": 3}, "evaluate must be a function"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(MappingError, match=match):
        sensitivity(trained(), **{"validation_data": data(64), "progress": False, **options})


def test_a_model_whose_layers_all_stay_dense_is_refused() -> None:
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    with pytest.raises(MappingError, match="got none by the kinds and sizes of the layers"):
        sensitivity(model, (np.zeros((4, 8)), np.zeros((4, 2))), metric="loss")


def test_a_function_needs_no_examples() -> None:
    model = trained()
    statistics = model.get_layer("norm").moving_variance.numpy()
    zeros, variances = [], []

    def evaluate(given: Any) -> float:
        zeros.append(int((given.get_layer("second").kernel.numpy() == 0).sum()))
        variances.append(given.get_layer("norm").moving_variance.numpy())
        return float(len(zeros))

    found = sensitivity(model, None, candidates={"second": _CHOICES[1:2]}, evaluate=evaluate, progress=False)
    assert zeros == [9 * 32 * 64 // 2, 0]
    assert [row.accuracy for row in found.rows] == [1.0]
    assert found.dense_accuracy == 2.0
    # Nothing is there to take other statistics of.
    assert all((each == statistics).all() for each in variances)


@pytest.mark.slow
def test_a_function_and_default_candidates() -> None:
    seen: list[int] = []

    def evaluate(model: Any) -> float:
        seen.append(int((model.get_layer("needed").kernel.numpy() == 0).sum()))
        return float(len(seen))

    model = _model(epochs=0)
    found = sensitivity(model, data(64), candidates=None, evaluate=evaluate, progress=False)
    assert found.metric == "evaluate"
    assert {row.layer for row in found.rows} >= {"needed", "idle"}
    assert len(seen) == len(found.rows) + 1
    assert max(seen) > 0.8 * 9 * 32 * 32
    assert all(row.time is None for row in found.rows)
