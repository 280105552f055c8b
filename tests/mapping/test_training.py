# SPDX-License-Identifier: Apache-2.0
"""A mapping trained with a penalty: rates emerge, meet the budget, and hold to the end."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tfprune.costs import load_table
from tfprune.errors import MappingError, PruningError
from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import Choice
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.mapping import Mapping
from tfprune.mapping.network import Network
from tfprune.mapping.training import train
from tfprune.sparsity.patterns import BlockRowsColumns, Groups


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    images = random.normal(size=(256, 12, 12, 8)).astype(np.float32)
    # Only the mean of each channel matters, and only of four channels.
    return images, (images.mean(axis=(1, 2))[:, :4] @ random.normal(size=(4, 3))).argmax(axis=1)


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 8)),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu", name="useful"),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu", name="second"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(128, activation="relu", name="hidden"),
            keras.layers.Dense(3, name="logits"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    return model


def _mapping(model: keras.Model, choices: dict[str, Choice], ratio: float) -> Mapping:
    latency = LatencyModel(Network(model), load_table("arm64"))
    return Mapping.of(latency, choices, budget=Budget("latency_ratio", ratio), method="by hand", reasons={})


def _train(model: keras.Model, mapping: Mapping, data: tuple[Any, Any], **options: Any) -> Any:
    return train(
        model,
        mapping,
        "arm64",
        *data,
        **{"penalty_epochs": 2, "retraining_epochs": 1, "batch_size": 32, "verbose": 0, **options},
    )


def test_rates_emerge_and_meet_the_budget(model: keras.Model, data: tuple[Any, Any]) -> None:
    choices = {name: Choice(Groups(rows=4, aligned=True), 0.7) for name in ("useful", "second")}
    mapping = _mapping(model, choices, 0.5)
    phases: list[str] = []

    trained = _train(model, mapping, data, prepare=lambda _, phase: phases.append(phase))

    assert phases == ["penalty", "retraining"]
    assert trained.mapping.met
    assert trained.mapping.used > 0.9
    rates = {name: choice.sparsity for name, choice in trained.mapping.choices.items() if not choice.dense}
    assert set(rates) == {"useful", "second"}
    assert abs(rates["useful"] - rates["second"]) > 0.01
    for name, rate in rates.items():
        zeros = (model.get_layer(name).kernel.numpy() == 0).mean()
        assert zeros == pytest.approx(rate, abs=0.01)
    assert (model.get_layer("hidden").kernel.numpy() != 0).all()
    assert len(trained.penalty_history["loss"]) == 2
    assert "threshold" in trained.mapping.reasons["second"]


def test_a_stronger_penalty_leaves_smaller_groups(model: keras.Model, data: tuple[Any, Any]) -> None:
    """Shown by what the phases lose: with a strong penalty nearly everything is zero before the cut."""
    choices = {"second": Choice(Groups(rows=4, aligned=True), 0.7)}
    mapping = _mapping(model, choices, 0.6)
    start = model.get_weights()
    zeros = []
    for strength in (0.0, 10.0):
        model.set_weights(start)
        seen: list[float] = []
        look = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, _, seen=seen: seen.append(
                float(np.square(model.get_layer("second").kernel.numpy()).sum())
            )
        )
        _train(model, mapping, data, strength=strength, callbacks=[look])
        zeros.append(seen[1])
    assert zeros[1] < 0.9 * zeros[0]


def test_a_pattern_that_shares_no_threshold_keeps_its_rate(model: keras.Model, data: tuple[Any, Any]) -> None:
    choices = {
        "hidden": Choice(BlockRowsColumns(16, 16), 0.5),
        "second": Choice(Groups(rows=4, aligned=True), 0.7),
    }
    mapping = _mapping(model, choices, 0.6)

    trained = _train(
        model, mapping, data, penalty_epochs=np.int64(2), batch_size=np.int64(32), strength=np.float32(0.01)
    )

    hidden = trained.mapping.choices["hidden"]
    assert hidden.dense or hidden.sparsity == 0.5


def test_a_budget_that_no_threshold_meets_is_said(model: keras.Model, data: tuple[Any, Any]) -> None:
    """Thresholds make fewer zeros than this mapping has."""
    mapping = _mapping(model, {"second": Choice(Groups(rows=4, aligned=True), 0.99)}, 0.285)
    assert mapping.met

    trained = _train(model, mapping, data)

    assert not trained.mapping.met
    assert any("no threshold meets the budget: with 97% zeros" in note for note in trained.mapping.notes)
    assert trained.mapping.choices["second"].sparsity == pytest.approx(0.97, abs=0.01)


def test_nothing_is_trained_for_a_budget_that_is_not_met(model: keras.Model, data: tuple[Any, Any]) -> None:
    mapping = _mapping(model, {"second": Choice(Groups(rows=4, aligned=True), 0.7)}, 0.05)
    before = model.get_weights()
    with pytest.raises(
        MappingError, match=r"budget of latency_ratio 0.05, but .* times the budget used; map with a larger"
    ):
        _train(model, mapping, data)
    assert all(np.array_equal(now, then) for now, then in zip(model.get_weights(), before, strict=True))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"prepare": 3}, "prepare must be a function of the model and the phase, got 3"),
        ({"penalty_epochs": 0}, "penalty_epochs must be a whole number of at least 1, got 0"),
        ({"strength": -1.0}, "strength must be a finite number of at least 0, got -1.0"),
        ({"steps_per_epoch": "x"}, "steps_per_epoch must be a whole number of at least 1, got 'x'"),
        ({"epochs": 3}, "give penalty_epochs and retraining_epochs instead"),
    ],
)
def test_arguments_are_checked(model: keras.Model, data: tuple[Any, Any], options: dict[str, Any], text: str) -> None:
    mapping = _mapping(model, {"second": Choice(Groups(rows=4, aligned=True), 0.7)}, 0.6)
    with pytest.raises(MappingError, match=text):
        _train(model, mapping, data, **options)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda model, mapping: ("model.keras", mapping), "must be a compiled Keras model, got str"),
        (lambda model, mapping: (model, None), "must be a Mapping, such as one of rules or search, got NoneType"),
        (
            lambda model, mapping: (model, mapping.recipe),
            "must be a Mapping, such as one of rules or search, got Recipe",
        ),
        (lambda model, mapping: (type(model).from_config(model.get_config()), mapping), "must be compiled"),
    ],
)
def test_model_and_mapping_are_checked(model: keras.Model, data: tuple[Any, Any], spoil: Any, text: str) -> None:
    mapping = _mapping(model, {"second": Choice(Groups(rows=4, aligned=True), 0.7)}, 0.6)
    spoiled = spoil(model, mapping)
    with pytest.raises(MappingError, match=text):
        _train(*spoiled, data)


def test_nothing_is_trained_for_a_mapping_of_another_model(model: keras.Model, data: tuple[Any, Any]) -> None:
    other = keras.Sequential([keras.Input((12, 12, 8)), keras.layers.Conv2D(64, 3, name="elsewhere")])
    mapping = _mapping(other, {"elsewhere": Choice(Groups(rows=4, aligned=True), 0.7)}, 0.6)
    before = model.get_weights()
    with pytest.raises(MappingError, match=r"must be for model .* only one of both has elsewhere"):
        _train(model, mapping, data)
    assert all(np.array_equal(now, then) for now, then in zip(model.get_weights(), before, strict=True))


def test_several_steps_at_once_are_refused(model: keras.Model, data: tuple[Any, Any]) -> None:
    """The last group of steps would be lost: all of a short phase."""
    mapping = _mapping(model, {"second": Choice(Groups(rows=4, aligned=True), 0.7)}, 0.6)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), steps_per_execution=4)
    with pytest.raises(MappingError, match="steps_per_execution=1, got 4"):
        _train(model, mapping, data)


def test_a_phase_that_ends_early_is_said(model: keras.Model, data: tuple[Any, Any]) -> None:
    mapping = _mapping(model, {"second": Choice(Groups(rows=4, aligned=True), 0.7)}, 0.6)
    stop = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: setattr(model, "stop_training", True))
    with pytest.warns(UserWarning, match="ended at step 1"), pytest.raises(PruningError, match="Leave out callbacks"):
        _train(model, mapping, data, callbacks=stop)


def test_the_mappings_precision_counts(model: keras.Model, data: tuple[Any, Any]) -> None:
    latency = LatencyModel(Network(model, precision="dynamic"), load_table("arm64"))
    choices = {"second": Choice(Groups(rows=4, cols=1, aligned=True), 0.97)}
    mapping = Mapping.of(latency, choices, budget=Budget("latency_ratio", 0.7), method="by hand", reasons={})

    trained = _train(model, mapping, data, callbacks=None)

    assert trained.mapping.precision == "dynamic"
    assert trained.mapping.dense.time == pytest.approx(latency.dense.time)


def test_a_mapping_without_patterns_is_refused(model: keras.Model, data: tuple[Any, Any]) -> None:
    mapping = _mapping(model, {}, 0.6)
    with pytest.raises(MappingError, match="every layer stays dense"):
        _train(model, mapping, data)


def test_data_without_a_length_are_refused(model: keras.Model, data: tuple[Any, Any]) -> None:
    mapping = _mapping(model, {"second": Choice(Groups(rows=4, aligned=True), 0.7)}, 0.6)
    with pytest.raises(MappingError, match="steps_per_epoch"):
        train(model, mapping, "arm64", iter([(data[0], data[1])]), penalty_epochs=1, retraining_epochs=1, verbose=0)
