# SPDX-License-Identifier: Apache-2.0
"""Schedules that do more than raise a sparsity: weights that go back, and weights that come back."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tfprune.errors import PruningError
from tfprune.keras.callback import PruningCallback
from tfprune.keras.pruning import Pruning
from tfprune.recipe import Rule
from tfprune.sparsity.patterns import Groups, Unstructured
from tfprune.sparsity.schedules import ConstantSparsity, CosineDecay, IterativeMagnitude, OneShot, Regrowth, Schedule
from tfprune.sparsity.select import select


class Record(keras.callbacks.Callback):
    """Copies of the weights of two layers before the first step and after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[np.ndarray] = []
        self.others: list[list[np.ndarray]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Before the first step."""
        self.on_train_batch_end(0)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a step."""
        self.kernels.append(np.array(self.model.get_layer("hidden").kernel))
        others = (self.model.get_layer("hidden").bias, self.model.get_layer("head").kernel)
        self.others.append([np.array(each) for each in others])


class BeforeSteps(Record):
    """Copies of the weights right before every step, where this callback stands behind that of the pruning."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Nothing yet."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Nothing."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a step."""
        super().on_train_batch_end(batch)


def network(rate: float = 0.1) -> Any:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, "tanh", kernel_initializer=keras.initializers.RandomNormal(stddev=0.05), name="hidden"),
            layers.Dense(1, name="head"),
        ]
    )
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def train(model: Any, schedule: Schedule, steps: int, *others: Any, **options: Any) -> PruningCallback:
    callback = PruningCallback(Unstructured(), schedule, filters="hidden", min_weights=1, **options)
    random = np.random.default_rng(0)
    x, y = random.standard_normal((steps, 8)).astype(np.float32), random.standard_normal((steps, 1))
    model.fit(x, y, batch_size=1, verbose=0, shuffle=False, callbacks=[callback, *others])
    return callback


def goes_back(model: Any, callback: PruningCallback, after: Record) -> tuple[BeforeSteps, np.ndarray]:
    """A second fit whose cut, at step 4, brings the values of step 1 of the first one back; and which are kept."""
    before = BeforeSteps()
    random = np.random.default_rng(0)
    data = random.standard_normal((3, 8)).astype(np.float32), random.standard_normal((3, 1))
    model.fit(*data, batch_size=1, verbose=0, callbacks=[callback, before])
    kept = before.kernels[1] != 0
    np.testing.assert_array_equal(before.kernels[1][kept], after.kernels[1][kept])
    return before, kept


def test_kept_weights_and_all_that_is_not_pruned_go_back() -> None:
    model, after, before = network(), Record(), BeforeSteps()
    train(model, IterativeMagnitude(0.75, rounds=2, round_steps=4, rewind_step=2), 12, after, before)
    start = after.kernels[2]
    for cut, sparsity in ((4, 0.5), (8, 0.75)):
        # The choice is made from the trained weights, the values are the earlier ones.
        mask = select(after.kernels[cut], Unstructured(), sparsity)
        np.testing.assert_array_equal(before.kernels[cut], np.where(mask, start, 0))
        for now, then, trained in zip(before.others[cut], after.others[2], after.others[cut], strict=True):
            np.testing.assert_array_equal(now, then)
            assert (trained != then).any()
    # The weights train on after the last cut, under the mask.
    assert (after.kernels[12] != before.kernels[8]).any()
    np.testing.assert_array_equal(after.kernels[12] != 0, before.kernels[8] != 0)


def test_plain_iterative_pruning_keeps_trained_values() -> None:
    model, after, before = network(), Record(), BeforeSteps()
    train(model, IterativeMagnitude(0.5, rounds=1, round_steps=3, rewind_step=None), 6, after, before)
    mask = select(after.kernels[3], Unstructured(), 0.5)
    np.testing.assert_array_equal(before.kernels[3], np.where(mask, after.kernels[3], 0))


def test_rounds_of_equal_length_without_a_number() -> None:
    model, after = network(), Record()
    train(model, IterativeMagnitude(0.75, rounds=2), 12, after)
    assert [int((kernel == 0).sum()) for kernel in after.kernels] == [0] * 5 + [64] * 4 + [96] * 4


def test_a_second_fit_still_knows_the_earlier_values() -> None:
    model, after = network(), Record()
    schedule = IterativeMagnitude(0.5, rounds=1, round_steps=4, rewind_step=1)
    with pytest.warns(UserWarning, match="at step 4, this training ends at step 3"):
        callback = train(model, schedule, 3, after)
    _, kept = goes_back(model, callback, after)
    assert kept.sum() == 64


def test_a_layer_that_is_frozen_between_two_fits_does_not_change_whose_values_come_back() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(8, name="entry"),
            layers.Dense(16, name="hidden"),
            layers.Dense(1, name="head"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    after = Record()
    with pytest.warns(UserWarning, match="at step 4, this training ends at step 3"):
        callback = train(model, IterativeMagnitude(0.5, rounds=1, round_steps=4, rewind_step=1), 3, after)
    model.get_layer("entry").trainable = False
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before, kept = goes_back(model, callback, after)
    assert kept.sum() == kept.size // 2
    for now, then in zip(before.others[1], after.others[1], strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_training_that_ends_with_a_cut_that_goes_back_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="at step 4, this training ends at step 4"):
        train(network(), IterativeMagnitude(0.5, rounds=1, round_steps=4), 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(network(), IterativeMagnitude(0.5, rounds=1, round_steps=4, rewind_step=None), 4)


def test_removed_weights_come_back_by_their_gradient() -> None:
    model, after = network(rate=0.2), Record()
    train(model, Regrowth(0.75, end_step=8, frequency=4, open_steps=2), 12, after)
    zeros = [int((kernel == 0).sum()) for kernel in after.kernels]
    # Cut before step 0; open in steps 2 and 3, and 6 and 7; the last choice at step 8 holds.
    assert zeros[1:] == [96, 96, 0, 0, 96, 96, 0, 0, 96, 96, 96, 96]
    first, second, last = (after.kernels[step] != 0 for step in (1, 5, 9))
    assert (second & ~first).any()
    assert (last & ~second).any()
    # The choice is made over all weights, removed ones with what they have learnt since.
    np.testing.assert_array_equal(second, select(after.kernels[4], Unstructured(), 0.75))
    np.testing.assert_array_equal(after.kernels[12] != 0, last)


def test_without_open_steps_nothing_comes_back() -> None:
    """Why masks must open: a choice over weights of which the removed ones are zero is always the same."""
    model, after = network(rate=0.5), Record()
    train(model, ConstantSparsity(0.75, frequency=2), 12, after)
    first = after.kernels[1] != 0
    assert all(((kernel != 0) <= first).all() for kernel in after.kernels[1:])


def test_one_shot_masks_stay() -> None:
    model, after = network(rate=0.5), Record()
    train(model, OneShot(0.5, begin_step=3), 8, after)
    assert [int((kernel == 0).sum()) for kernel in after.kernels] == [0] * 4 + [64] * 5
    masks = [kernel != 0 for kernel in after.kernels[4:]]
    assert all((mask == masks[0]).all() for mask in masks)


def test_cosine_decay_reaches_its_end() -> None:
    model, after = network(), Record()
    train(model, CosineDecay(final_sparsity=0.5, frequency=1), 10, after)
    counts = [int((kernel == 0).sum()) for kernel in after.kernels]
    assert counts[-1] == counts[8] == 64  # 70 % of ten steps: chosen before the eighth
    steps = np.diff(counts[1:9])
    assert steps[0] < steps[3] > steps[-1]


def test_a_cut_without_saved_values_is_an_error() -> None:
    model = network()
    rule = Rule("hidden", Groups(), 0.5, IterativeMagnitude(rounds=1, round_steps=4), min_weights=1)
    pruning = Pruning(model, rule)
    pruning.attach()
    pruning.plan(10)
    pruning.step_count = pruning._checked_step = 3
    pruning.advance()
    with pytest.raises(PruningError, match="a training that did not pass through that step"):
        pruning.prepare()
