# SPDX-License-Identifier: Apache-2.0
"""The pruner in a training loop of one's own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.keras.conftest import BATCH, STEPS, zeros
from tfprune.errors import PruningError
from tfprune.keras.callback import PruningCallback
from tfprune.keras.pruner import Pruner
from tfprune.recipe import Recipe, Rule
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.schedules import ConstantSparsity, PolynomialDecay

Data = tuple[np.ndarray, np.ndarray]
Build = Callable[..., Any]
RISING = PolynomialDecay(0.25, 0.75, begin_step=1, end_step=5, power=1, frequency=2)


def recipe(schedule: Any = RISING) -> Recipe:
    return Recipe(Rule("hidden", Groups(rows=4), schedule=schedule, min_weights=1))


def batches(data: Data) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(data[0]), BATCH):
        yield data[0][start : start + BATCH], data[1][start : start + BATCH]


def compiled_step(model: Any, optimizer: Any) -> Callable[..., None]:
    @tf.function
    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            loss = keras.ops.mean(keras.losses.mean_squared_error(y, model(x, training=True)))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)

    return step


def test_a_loop_of_ones_own_prunes_as_fit_does(build: Build, data: Data) -> None:
    fitted, looped = build("adam"), build("adam")
    looped.set_weights(fitted.get_weights())
    callback = PruningCallback(recipe=recipe())
    fitted.fit(*data, batch_size=BATCH, verbose=0, shuffle=False, callbacks=[callback])

    pruner = Pruner(looped, recipe())
    pruner.start(total_steps=STEPS)
    step = compiled_step(looped, looped.optimizer)
    seen = []
    for batch in batches(data):
        step(*batch)
        seen.append(zeros(looped, "hidden"))
        pruner.step()
    pruner.finalize()
    # Chosen at steps 1, 3 and 5: 25 %, 50 % and 75 % of 128; the masks hold after every step.
    assert seen == [0, 32, 32, 64, 64, 96]
    assert pruner.report().to_dict() == callback.report.to_dict()
    for old, new in zip(fitted.get_weights(), looped.get_weights(), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-6)
    assert looped.get_layer("hidden").kernel.constraint is None


def test_an_optimizer_of_ones_own(build: Build, data: Data) -> None:
    model = build()
    optimizer = keras.optimizers.Adam(0.1)
    pruner = Pruner(model, recipe(ConstantSparsity(0.5)), optimizer=optimizer)
    pruner.start()
    for batch in batches(data):
        compiled_step(model, optimizer)(*batch)
        assert zeros(model, "hidden") == 64
        pruner.step()
    pruner.finalize()
    plain = keras.optimizers.Adam(0.1)
    plain.build(model.trainable_variables)
    assert len(optimizer.variables) == len(plain.variables)


def test_a_model_that_was_never_compiled(build: Build) -> None:
    inputs = keras.Input((16,))
    model = keras.Model(inputs, keras.layers.Dense(8, name="hidden")(inputs))
    with pytest.raises(PruningError, match=r"must be compiled .*or the optimizer be given.*optimizer=optimizer"):
        Pruner(model, recipe()).start()
    pruner = Pruner(model, recipe(ConstantSparsity(0.5)), optimizer=keras.optimizers.SGD())
    pruner.start()
    assert pruner.sparsity == 0.5


def test_a_step_compiled_before_the_masks_is_told(build: Build, data: Data) -> None:
    model = build()
    step = compiled_step(model, model.optimizer)
    batch = next(batches(data))
    step(*batch)
    pruner = Pruner(model, recipe(ConstantSparsity(0.5)))
    pruner.start()
    step(*batch)
    with pytest.raises(PruningError, match=r"must apply the masks.*call start\(\) before the first step"):
        pruner.step()
    compiled_step(model, model.optimizer)(*batch)
    pruner.step()
    assert (zeros(model, "hidden"), pruner.step_count) == (64, 1)


def test_steps_need_a_start(build: Build) -> None:
    with pytest.raises(PruningError, match="the pruner was not started"):
        Pruner(build(), recipe()).step()


def test_an_open_end_is_that_of_the_training(build: Build, data: Data) -> None:
    model = build()
    pruner = Pruner(model, recipe(PolynomialDecay(final_sparsity=0.5)))
    with pytest.raises(PruningError, match=r"`total_steps` to Pruner\.start"):
        pruner.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pruner.start(total_steps=10)
    model.train_on_batch(*next(batches(data)))
    pruner.step(7)
    assert pruner.sparsity == 0.5


def test_a_late_schedule_warns_before_the_first_step(build: Build) -> None:
    pruner = Pruner(build(), recipe())
    with pytest.warns(UserWarning, match=r"^Pruner: .* at step 5, this training ends at step 4\.$"):
        pruner.start(total_steps=4)


def test_a_second_start_goes_on_with_the_same_masks(build: Build, data: Data) -> None:
    model = build()
    pruner = Pruner(model, recipe(ConstantSparsity(0.5, end_step=0)))
    pruner.start()
    model.fit(*data, verbose=0)
    pruner.step(6)
    pruner.finalize()
    mask = model.get_layer("hidden").kernel.numpy() != 0
    model.get_layer("hidden").kernel.assign(np.random.default_rng(0).random((16, 8)))
    pruner.start()
    np.testing.assert_array_equal(model.get_layer("hidden").kernel.numpy() != 0, mask)
    assert pruner.step_count == 6


@pytest.mark.parametrize("count", [0, -5, 1.5, "x", True, None])
def test_steps_are_whole_numbers_from_one(build: Build, data: Data, count: Any) -> None:
    model = build()
    pruner = Pruner(model, recipe(ConstantSparsity(0.5)))
    if count is not None:
        with pytest.raises(PruningError, match=rf"`total_steps` .* whole number of at least 1\. Received: {count!r}"):
            pruner.start(count)
        assert model.get_layer("hidden").kernel.constraint is None
    pruner.start(np.int64(10))  # type: ignore[arg-type]
    model.train_on_batch(*next(batches(data)))
    with pytest.raises(PruningError, match=rf"`count` of Pruner\.step must be a whole number .* Received: {count!r}\."):
        pruner.step(count)
    assert pruner.step_count == 0
    pruner.step(np.int64(2))  # type: ignore[arg-type]
    assert pruner.step_count == 2


def test_what_is_no_model_optimizer_or_state_is_told(build: Build) -> None:
    with pytest.raises(PruningError, match=r"`model` must be a Keras model\. Received: None\."):
        Pruner(None, recipe())
    for wrong in ("adam", keras.optimizers.Adam):
        with pytest.raises(PruningError, match=r"must be the optimizer object .*keras\.optimizers\.Adam\(\)"):
            Pruner(build(), recipe(), optimizer=wrong).start(10)
    with pytest.raises(PruningError, match=r"must be a `PruningState`.*Received: 3\."):
        Pruner(build(), recipe()).load_state(3)  # type: ignore[arg-type]


def test_before_start_nothing_is_known(build: Build) -> None:
    pruner = Pruner(build(), recipe())
    with pytest.raises(PruningError, match=r"`sparsity` of one that was not started\. Call start\(\) first"):
        _ = pruner.sparsity
    with pytest.raises(PruningError, match=r"`report` of one that was not started\. Call start\(\) first"):
        pruner.report()
    with pytest.raises(PruningError, match=r"Call start\(\) first"):
        pruner.state()
