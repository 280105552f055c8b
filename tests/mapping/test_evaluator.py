# SPDX-License-Identifier: Apache-2.0
"""Mappings judged on real data: what is measured, and that the model is the same afterwards."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.mapping.searching.models import CHOICES, build, data, trained, training_data
from tfprune.errors import MappingError
from tfprune.mapping.choice import Choice
from tfprune.mapping.judging.evaluation import StoppedEarlyError, front_of
from tfprune.mapping.judging.evaluator import Evaluator
from tfprune.mapping.judging.examples import batches_of, count_of, inputs_of
from tfprune.mapping.judging.metric import Metric
from tfprune.mapping.network import Network
from tfprune.one_shot import prune
from tfprune.recipe import Recipe, Rule
from tfprune.sparsity.patterns import Groups

_MAPPING = {"second": Choice(Groups(4), 0.7), "third": CHOICES[4]}


@pytest.fixture(scope="module")
def model() -> Any:
    return trained()


@pytest.fixture(scope="module")
def network(model: Any) -> Network:
    return Network(model)


def _batches(examples: Any, size: int = 64) -> list[Any]:
    return batches_of(examples, "data", batch_size=size, seed=0)


def _evaluator(model: Any, network: Network, **options: Any) -> Evaluator:
    return Evaluator(model, network, _batches(data()), training=_batches(training_data()), **options)


def _state(model: Any) -> list[np.ndarray]:
    return [np.array(each) for each in (*model.variables, *model.optimizer.variables)]


def test_the_metric_is_that_of_the_whole_data_and_its_parts_come_before(model: Any, network: Network) -> None:
    evaluator = _evaluator(model, network)
    expected = model.evaluate(*data(), verbose=0, return_dict=True)["accuracy"]
    assert evaluator.dense == pytest.approx(expected, abs=1e-6)
    told: list[tuple[int, float]] = []
    found = evaluator.accuracy({}, lambda part, value: told.append((part, value)))
    assert found == pytest.approx(expected, abs=1e-6)
    assert [part for part, _ in told] == [0, 1]
    first = _batches(data())[0]
    assert told[0][1] == pytest.approx(np.mean(model.predict(first[0], verbose=0).argmax(1) == first[1]))


@pytest.mark.parametrize("epochs", [0, 1])
def test_the_model_is_the_same_afterwards(model: Any, network: Network, epochs: int) -> None:
    evaluator = _evaluator(model, network, epochs=epochs)
    before = _state(model)
    first = evaluator.accuracy(_MAPPING)
    assert evaluator.accuracy({"second": Choice(Groups(4), 0.9)}) != first
    assert evaluator.accuracy(_MAPPING) == first

    def stop(part: int, value: float) -> None:
        raise StoppedEarlyError

    with pytest.raises(StoppedEarlyError):
        evaluator.accuracy(_MAPPING, stop)
    for old, new in zip(before, _state(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_whole_numbers_of_a_model_come_back_exactly() -> None:
    inputs = keras.Input((8, 8, 4))
    x = keras.layers.Conv2D(32, 3, name="second")(inputs)
    x = keras.layers.Dropout(0.5, seed=161973071)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, keras.layers.Dense(4)(x))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    random = np.random.default_rng(0)
    examples = random.normal(size=(64, 8, 8, 4)).astype(np.float32), random.integers(0, 4, 64)
    evaluator = Evaluator(model, Network(model), _batches(examples), training=_batches(examples), epochs=1)
    before = _state(model)
    assert any(each.dtype.kind in "iu" and each.max() > 2**24 for each in before)
    evaluator.accuracy({})
    for old, new in zip(before, _state(model), strict=True):
        np.testing.assert_array_equal(new, old)


def test_zeros_are_those_of_one_shot_pruning_and_are_held_while_the_model_trains(model: Any, network: Network) -> None:
    pruned = trained()
    rules = [Rule(name, choice.pattern, choice.sparsity, min_weights=0) for name, choice in _MAPPING.items()]
    prune(pruned, Recipe([*rules, Rule("*", skip=True)]))
    expected = {name: np.array(pruned.get_layer(name).kernel) != 0 for name in _MAPPING}
    seen: list[dict[str, np.ndarray]] = []

    def look(given: Any) -> float:
        seen.append({name: np.array(given.get_layer(name).kernel) for name in _MAPPING})
        return 0.5

    for epochs in (0, 2):
        _evaluator(model, network, epochs=epochs, metric=Metric(function=look)).accuracy(_MAPPING)
    for kernels in seen:
        for name, kernel in kernels.items():
            np.testing.assert_array_equal(kernel != 0, expected[name])
    assert len(seen) == 4
    assert not np.allclose(seen[0]["second"], seen[-1]["second"])


def test_new_statistics_and_training_make_up_for_zeros(model: Any, network: Network) -> None:
    choices = {"first": Choice(Groups(4), 0.9), "second": Choice(Groups(4), 0.9), "third": Choice(Groups(4), 0.9)}
    loss = Metric("loss")
    new, trained_on = (_evaluator(model, network, epochs=epochs, metric=loss).accuracy(choices) for epochs in (0, 2))
    evaluator = _evaluator(model, network)
    plain = trained()
    for name, choice in choices.items():
        kernel = plain.get_layer(name).kernel
        kernel.assign(np.array(kernel) * evaluator.mask(name, choice))
    assert trained_on < new < plain.evaluate(*data(), verbose=0, return_dict=True)["loss"]


def test_the_same_seed_trains_the_same(model: Any, network: Network) -> None:
    first, second = (
        _evaluator(model, network, epochs=1, metric=Metric("loss"), seed=5).accuracy(_MAPPING) for _ in "ab"
    )
    assert first == pytest.approx(second, rel=1e-4)


@pytest.mark.parametrize(
    "form",
    [
        lambda x, y: (x, y),
        lambda x, y: (x, y, np.ones(len(y))),
        lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).batch(100),
        lambda x, y: [(x[:100], y[:100]), (x[100:], y[100:])],
        lambda x, y: ((x[start : start + 100], y[start : start + 100]) for start in (0, 100, 200)),
        lambda x, y: lambda: (x, y),
    ],
    ids=["arrays", "weights", "tf.data", "list", "generator", "function"],
)
def test_data_come_in_any_form(form: Any) -> None:
    x, y = data()
    batches = _batches(form(x, y), 100)
    assert sorted(map(count_of, batches))[-1] <= 156
    assert sum(map(count_of, batches)) == len(x)
    order = np.argsort(np.concatenate([batch[0][:, 0, 0, 0] for batch in batches]))
    expected = np.argsort(x[:, 0, 0, 0])
    np.testing.assert_array_equal(np.concatenate([batch[1] for batch in batches])[order], y[expected])


def test_no_data_are_no_batches_and_labels_may_be_missing() -> None:
    assert batches_of(None, "data", batch_size=64, seed=0) == []
    assert np.isnan(_batches((np.ones((4, 2)), np.full(4, np.nan)), 4)[0][1]).all()


def test_the_order_of_examples_is_the_seeds() -> None:
    first, second, other = (batches_of(data(), "data", batch_size=64, seed=seed)[0][1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_inputs_with_names_are_cut_together() -> None:
    inputs = {"a": np.arange(10), "b": np.arange(10) * 2}
    batches = _batches((inputs, np.arange(10)), 4)
    assert [count_of(batch) for batch in batches] == [4, 4, 2]
    assert all((batch[0]["b"] == 2 * batch[1]).all() for batch in batches)
    assert len(inputs_of(batches, 5)) == 2


@pytest.mark.parametrize(
    ("examples", "match"),
    [
        (np.zeros((4, 2)), r"must be \(x, y\).* without labels"),
        ((np.zeros((4, 2)), np.zeros(3)), r"equally many examples, got \[3, 4\]"),
        (5, r"must be \(x, y\).*got int"),
        (iter([]), "no example"),
        ((np.zeros((0, 2)), np.zeros(0)), "no example"),
        ((np.full((4, 2), np.nan), np.zeros(4)), "data must be finite, got inputs with NaN or infinity"),
        ([({"a": np.zeros(3, int), "b": np.array([0, 1, np.inf], np.float16)}, np.zeros(3))], "data must be finite"),
        (lambda: None, r"must be \(x, y\).*got NoneType"),
    ],
    ids=["unlabelled", "lengths", "number", "empty", "no rows", "nan", "infinity", "function"],
)
def test_other_data_are_refused(examples: Any, match: str) -> None:
    with pytest.raises(MappingError, match=match):
        _batches(examples)


def test_which_way_is_better_is_asked_of_the_metric() -> None:
    model, batches = build(), _batches(data(16))
    model.compile(
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy", keras.metrics.SparseCategoricalCrossentropy(name="spread")],
    )
    assert Metric("spread").settled(model, batches).sign == -1
    assert Metric("accuracy").settled(model, batches).sign == 1
    assert Metric("loss").settled(model, batches).sign == -1
    assert Metric(function=len).settled(model, []).sign == 1
    assert Metric("odd", higher_is_better=False).settled(model, []).sign == -1
    with pytest.raises(MappingError, match=r"'odd': whether more or less"):
        Metric("odd").settled(model, batches)


def test_what_cannot_be_measured_is_refused(model: Any, network: Network) -> None:
    with pytest.raises(MappingError, match=r"one of the compiled .*accuracy.*, got 'f1'"):
        _ = _evaluator(model, network, metric=Metric("f1", True)).dense
    bare = build()
    with pytest.raises(MappingError, match="must be compiled"):
        _evaluator(bare, network)
    with pytest.raises(MappingError, match="must return a number, got str"):
        _ = _evaluator(model, network, metric=Metric(function=lambda _: "good")).dense
    with pytest.raises(MappingError, match="epochs=1 need training_data"):
        Evaluator(model, network, _batches(data()), epochs=1)
    with pytest.raises(MappingError, match="no latency model"):
        _evaluator(model, network).evaluate({})


def test_equal_points_stand_in_the_front_once() -> None:
    assert front_of([(1, 1), (1, 1), (2, 2), (1.5, 3), (0.5, 0.5)]) == [4, 0, 2]
    assert front_of([]) == []
