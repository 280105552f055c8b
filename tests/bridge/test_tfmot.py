# SPDX-License-Identifier: Apache-2.0
"""What TFMOT leaves: its schedules, and models in its wrappers; ``make test-elsewhere`` has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras
from tensorflow_model_optimization.quantization import keras as quantization
from tensorflow_model_optimization.sparsity import keras as tfmot

import tfprune
from tfprune import patterns, schedules
from tfprune.bridge import tfmot as bridge
from tfprune.bridge.tf_keras import PruningCallback
from tfprune.errors import PruningError, ScheduleError

layers = tf_keras.layers
X = np.random.default_rng(0).standard_normal((8, 8, 8, 4)).astype(np.float32)

SCHEDULES = [
    tfmot.ConstantSparsity(0.7, 3, 90, 7),
    tfmot.ConstantSparsity(0.5, 0),
    tfmot.PolynomialDecay(0.1, 0.8, 5, 105, 3, 10),
    tfmot.PolynomialDecay(0.5, 0.9, 0, 100, 1, 4),
    tfmot.PolynomialDecay(0.9, 0.2, 10, 50, 2, 20),
]


@pytest.mark.parametrize("theirs", SCHEDULES, ids=lambda each: type(each).__name__)
def test_schedules_have_equal_values_at_every_step(theirs: Any) -> None:
    ours = bridge.schedule(theirs)
    assert type(ours).__name__ == type(theirs).__name__
    for step in range(130):
        turn, sparsity = theirs(np.int64(step))
        assert ours.sparsity(step) == pytest.approx(float(sparsity), abs=1e-6)
        assert ours.should_prune(step) == bool(turn)


def test_an_end_between_two_turns_is_a_turn_here() -> None:
    theirs = tfmot.PolynomialDecay(0.0, 0.8, 0, 105, 3, 10)
    ours = bridge.schedule(theirs)
    assert [step for step in range(130) if ours.should_prune(step) != bool(theirs(np.int64(step))[0])] == [105]


def test_other_schedules_are_refused() -> None:
    class Own(tfmot.PruningSchedule):  # type: ignore[misc]  # TFMOT has no type information
        def __call__(self, step: Any) -> Any:
            return True, 0.5

        def get_config(self) -> dict[str, Any]:
            return {}

    for wrong in (Own(), tfprune.schedules.ConstantSparsity(0.5), 0.5):
        with pytest.raises(ScheduleError, match="must be a schedule of TFMOT"):
            bridge.schedule(wrong)


def wrapped_network(nested: bool) -> Any:
    """Trained for two steps; the optimizer has moved removed weights since the last time they were masked."""
    tf_keras.utils.set_random_seed(0)
    schedule = tfmot.ConstantSparsity(0.5, 0, frequency=1)
    given = tf_keras.Input((8, 8, 4), batch_size=1)
    x = layers.BatchNormalization()(tfmot.prune_low_magnitude(layers.Conv2D(32, 3, name="conv"), schedule)(given))
    if nested:
        inner_given = tf_keras.Input((6, 6, 32), batch_size=1)
        conv = tfmot.prune_low_magnitude(layers.Conv2D(32, 1, name="inner_conv"), schedule)
        x = tf_keras.Model(inner_given, conv(inner_given), name="inner")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = tf_keras.Model(given, tfmot.prune_low_magnitude(layers.Dense(8, name="head"), schedule)(x))
    model.compile("adam", "mse")
    model.fit(X, np.ones((8, 8)), batch_size=1, verbose=0, callbacks=[tfmot.UpdatePruningStep()])
    return model


@pytest.fixture(scope="module", params=[False, True], ids=["flat", "nested"])
def wrapped(request: pytest.FixtureRequest) -> Any:
    return wrapped_network(request.param)


def test_strip_gives_a_plain_model_with_equal_outputs(wrapped: Any) -> None:
    theirs = tfmot.strip_pruning(wrapped)
    plain = tfprune.strip(wrapped)
    assert [type(each) for each in plain.layers] == [type(each) for each in theirs.layers]
    assert [each.name for each in plain.layers] == [each.name for each in theirs.layers]
    np.testing.assert_array_equal(plain.predict(X, batch_size=1, verbose=0), theirs.predict(X, batch_size=1, verbose=0))
    assert (plain.get_layer("conv").kernel.numpy() == 0).mean() == 0.5
    assert plain.get_layer("conv").kernel is not wrapped.get_layer("prune_low_magnitude_conv").layer.kernel


def test_strip_removes_what_the_optimizer_left_in_removed_weights() -> None:
    wrapped = wrapped_network(nested=False)
    layer = wrapped.get_layer("prune_low_magnitude_conv")
    kernel, mask, _ = layer.pruning_vars[0]
    kernel.assign_add(np.ones(kernel.shape))
    found = tfprune.strip(wrapped).get_layer("conv").kernel.numpy()
    np.testing.assert_array_equal(found, kernel.numpy() * mask.numpy())


def test_a_wrapped_model_converts(wrapped: Any) -> None:
    converted = tfprune.convert(wrapped, device="host", min_speedup=0.01)
    zeros = [layer.sparsity for layer in converted.report.layers if layer.sparsity]
    assert zeros
    assert all(each >= 0.49 for each in zeros)
    y = tfprune.Interpreter(converted.dense).predict(X[:1])
    np.testing.assert_allclose(y, wrapped.predict(X[:1], batch_size=1, verbose=0), atol=1e-5)


def test_subclassed_models_are_refused() -> None:
    class Own(tf_keras.Model):  # type: ignore[misc]  # tf_keras has no type information
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    model = Own()
    with pytest.raises(PruningError, match="must be built"):
        tfprune.strip(model)
    model(np.zeros((1, 3)))
    with pytest.raises(PruningError, match="functional or sequential"):
        tfprune.strip(model)


def test_quantization_aware_training_keeps_the_zeros_of_convolutions() -> None:
    plain = tf_keras.Sequential(
        [
            layers.Conv2D(64, 3, padding="same", input_shape=(8, 8, 16), name="conv"),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(64, name="hidden"),
            layers.Dense(4, name="head"),
        ]
    )
    pattern = patterns.Groups(rows=4)
    kernel = plain.get_layer("conv").kernel
    kernel.assign(kernel * tfprune.select(kernel.numpy(), pattern, 0.8))
    model = quantization.quantize_model(plain)
    trained = next(each for each in model.trainable_weights if each.name == "conv/kernel:0")
    before = trained.numpy()
    zeros = []

    class Watch(tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras has no type information
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            zeros.append(np.array_equal(trained.numpy() == 0, before == 0))

    model.compile("adam", "mse")
    x = np.random.default_rng(0).standard_normal((64, 8, 8, 16)).astype(np.float32)
    pruning = PruningCallback(pattern, schedules.ConstantSparsity(0.8, end_step=0))
    model.fit(x, np.ones((64, 4)), batch_size=8, verbose=0, callbacks=[pruning, Watch()])
    assert zeros == [True] * 8
    assert (trained.numpy() != before).mean() > 0.19
    # TFMOT has put tensors in the place of these kernels.
    skipped = {row.layer: row.reason for row in pruning.report.layers if row.status == "skipped"}
    assert skipped["quant_hidden"] == "QuantizeWrapperV2 weights are not supported"
    converted = tfprune.convert(model, precision="int8", representative_data=x, min_speedup=0.01)
    (conv,) = [each for each in converted.report.layers if each.sparsity and each.sparsity > 0.5]
    assert conv.precision == "int8"
    assert conv.sparsity >= 0.799
