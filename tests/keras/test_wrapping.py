# SPDX-License-Identifier: Apache-2.0
"""`wrap` and `strip` on models built in every way, and training with wrappers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfprune import Pruned, PruningCallback, Rule, strip, wrap
from tfprune.errors import PruningError, RecipeError
from tfprune.keras.layers import wrappers_in
from tfprune.sparsity.patterns import Filters, Unstructured
from tfprune.sparsity.schedules import ConstantSparsity, PolynomialDecay

layers = keras.layers
EVERYTHING = Rule(None, Unstructured(), 0.5, min_weights=1)
RANDOM = np.random.default_rng(4)


def outputs(model: Any, x: Any) -> list[Any]:
    return [np.asarray(each) for each in keras.tree.flatten(model(x))]


def sequential() -> Any:
    hidden = [layers.Dense(8, name="hidden"), layers.BatchNormalization(name="norm"), layers.Dropout(0.5, name="drop")]
    return keras.Sequential([keras.Input((5,), name="given"), *hidden, layers.Dense(2, name="head")], name="whole")


def built_late() -> Any:
    model = keras.Sequential([layers.Dense(8, name="hidden"), layers.Dense(2, name="head")])
    model.build((None, 5))
    return model


def shared() -> Any:
    given = keras.Input((5,))
    twice = layers.Dense(5, name="twice")
    x = twice(given) * 2 + twice(layers.ReLU()(twice(given)))
    return keras.Model(given, {"x": x, "y": layers.Dense(2, name="head")(x)})


def shared_between_models() -> Any:
    tied = layers.Dense(5, name="tied")
    given = keras.Input((5,))
    inner = keras.Model(given, layers.Dense(5, name="own")(tied(given)), name="inner")
    given = keras.Input((5,))
    return keras.Model(given, layers.Dense(2, name="head")(inner(tied(inner(given)))))


def several_inputs() -> Any:
    given = {"b": keras.Input((5,), name="b"), "a": keras.Input((5,), name="a")}
    x = layers.Concatenate()([layers.Dense(4, name="hidden")(given["a"]), given["b"]])
    return keras.Model(given, layers.Dense(2, name="head")(layers.Dense(3, name="next")(x)))


def with_lambda_and_losses() -> Any:
    scale = np.float32(3)
    given = keras.Input((5,))
    x = layers.Dense(5, kernel_regularizer="l2", activity_regularizer="l1", name="hidden")(given)
    x = layers.Lambda(lambda value: value * scale, name="scale")(x)
    model = keras.Model(given, layers.Dense(2, name="head")(x))
    model.compile("sgd", lambda y, y_pred: keras.ops.mean(keras.ops.abs(y - y_pred) * scale))
    return model


def with_statistics() -> Any:
    norm = layers.Normalization(name="norm")
    norm.adapt(RANDOM.random((20, 5)))
    given = keras.Input((5,))
    return keras.Model(given, layers.Dense(2, name="head")(layers.Dense(6, name="hidden")(norm(given))))


@keras.saving.register_keras_serializable("wrapping")
class Own(keras.Model):  # type: ignore[misc]  # Keras has no type information
    """A subclassed model."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.hidden, self.head = layers.Dense(units, name="hidden"), layers.Dense(2, name="head")

    def call(self, inputs: Any) -> Any:
        return self.head(self.hidden(inputs))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def subclassed_inside() -> Any:
    given = keras.Input((5,))
    return keras.Model(given, Own(7, name="own")(given))


class OwnStep(keras.Model):  # type: ignore[misc]  # Keras has no type information
    """A functional model with a training step of its own."""

    def train_step(self, *arguments: Any) -> Any:
        return super().train_step(*arguments)


def own_step() -> Any:
    given = keras.Input((5,))
    return OwnStep(given, layers.Dense(2, name="head")(layers.Dense(6, name="hidden")(given)))


def half_frozen() -> Any:
    given = keras.Input((5,))
    frozen = keras.Sequential([keras.Input((5,)), layers.Dense(6, name="first"), layers.Dense(6)], name="frozen")
    frozen.trainable = False
    model = keras.Model(given, layers.Dense(2, name="head")(layers.Dense(6, name="hidden")(frozen(given))))
    return model


WAYS: dict[str, Callable[[], Any]] = {
    make.__name__: make
    for make in (
        sequential,
        built_late,
        shared,
        shared_between_models,
        several_inputs,
        with_lambda_and_losses,
        with_statistics,
        subclassed_inside,
        own_step,
        half_frozen,
    )
}


def example(model: Any) -> Any:
    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.tree.map_structure(
        lambda tensor: RANDOM.standard_normal((3, *tensor.shape[1:])).astype(np.float32), inputs
    )


@pytest.mark.parametrize("way", WAYS)
def test_models_keep_names_weights_and_outputs(way: str) -> None:
    model = WAYS[way]()
    x = example(model)
    wrapped = wrap(model, EVERYTHING)
    assert type(wrapped) is type(model)
    assert wrapped.name == model.name
    assert [each.name for each in wrapped.layers] == [each.name for each in model.layers]
    assert [each.trainable for each in wrapped.layers] == [each.trainable for each in model.layers]
    assert len(wrapped.losses) == len(model.losses)
    np.testing.assert_equal(outputs(wrapped, x), outputs(model, x))
    assert not {id(weight) for weight in wrapped.weights} & {id(weight) for weight in model.weights}
    masks = [mask for wrapper in wrappers_in(wrapped) for mask in wrapper.masks.values()]
    assert masks
    assert len(wrapped.weights) == len(model.weights) + len(masks)
    before = outputs(model, x)
    for mask in masks:
        mask.assign(RANDOM.random(mask.shape) < 0.4)
    np.testing.assert_equal(outputs(model, x), before)
    plain = strip(wrapped)
    assert not wrappers_in(plain)
    np.testing.assert_equal(outputs(plain, x), outputs(wrapped, x))
    assert [weight.shape for weight in plain.weights] == [weight.shape for weight in model.weights]


def test_a_layer_that_is_used_twice_has_one_wrapper() -> None:
    wrapped = wrap(shared_between_models(), EVERYTHING)
    assert wrapped.get_layer("tied") is wrapped.get_layer("inner").get_layer("tied")
    assert isinstance(wrapped.get_layer("tied"), Pruned)


def test_only_what_the_recipe_chooses_is_wrapped() -> None:
    model = sequential()
    assert [type(each) for each in wrap(model, EVERYTHING).layers[-1:]] == [layers.Dense]
    with_head = wrap(model, Rule("head", Unstructured(), 0.5, min_weights=1))
    assert [each.name for each in wrappers_in(with_head)] == ["head"]
    pointwise = keras.Sequential([keras.Input((6, 6, 4)), layers.SeparableConv2D(8, 3, name="conv"), layers.Flatten()])
    assert list(wrap(pointwise, EVERYTHING).get_layer("conv").masks) == ["pointwise_kernel"]


def train(model: Any, callbacks: list[Any], epochs: int = 2) -> Any:
    x = np.random.default_rng(0).standard_normal((16, *model.input_shape[1:])).astype(np.float32)
    return model.fit(x, np.ones((16, *model.output_shape[1:])), 4, epochs, verbose=0, callbacks=callbacks).history


@pytest.mark.backends
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_training_masks_by_schedule_and_leaves_dense_weights(optimizer: str) -> None:
    wrapped = wrap(sequential(), EVERYTHING)
    wrapped.compile(optimizer, "mse")
    schedule = PolynomialDecay(0.2, 0.5, end_step=6, power=1, frequency=1)
    pruning = PruningCallback(recipe=Rule("hidden", Unstructured(), schedule=schedule, min_weights=1))
    history = train(wrapped, [pruning])
    kernel, mask = wrapped.get_layer("hidden").masked_kernels[0]
    assert np.count_nonzero(~mask.numpy()) == 20
    assert np.count_nonzero(kernel.numpy()) == 40
    assert history["sparsity"] == [0.35, 0.5]
    row = next(each for each in pruning.report.layers if each.layer == "hidden")
    assert (row.achieved, row.kept, row.status) == (0.5, 20, "pruned")
    assert kernel.constraint is None
    assert np.count_nonzero(strip(wrapped).get_layer("hidden").kernel.numpy()) == 20


@pytest.mark.backends
@pytest.mark.parametrize("straight_through", [False, True])
def test_removed_weights_train_only_straight_through(straight_through: bool) -> None:
    wrapped = wrap(sequential(), EVERYTHING, straight_through=straight_through)
    wrapped.compile(keras.optimizers.SGD(0.1), "mse")
    kernel, mask = wrapped.get_layer("hidden").masked_kernels[0]
    mask.assign(np.arange(40).reshape(5, 8) % 2 == 0)
    before = kernel.numpy()
    train(wrapped, [], epochs=1)
    moved = kernel.numpy() != before
    assert moved[mask.numpy()].all()
    assert moved[~mask.numpy()].all() if straight_through else not moved[~mask.numpy()].any()


def test_weights_come_back_when_they_have_grown() -> None:
    wrapped = wrap(sequential(), EVERYTHING)
    wrapped.compile(keras.optimizers.SGD(0.0), "mse")
    recipe = Rule("hidden", Unstructured(), schedule=ConstantSparsity(0.5, frequency=1), min_weights=1)
    pruning = PruningCallback(recipe=recipe)
    kernel, mask = wrapped.get_layer("hidden").masked_kernels[0]
    train(wrapped, [pruning], epochs=1)
    first = mask.numpy()
    kernel.assign(np.where(first, kernel.numpy() * 0.01, kernel.numpy() * 100))
    train(wrapped, [pruning], epochs=1)
    np.testing.assert_array_equal(mask.numpy(), ~first)


def test_a_new_pruner_begins_with_the_masks_of_the_model() -> None:
    wrapped = wrap(sequential(), EVERYTHING)
    wrapped.compile("sgd", "mse")
    wrapped.get_layer("hidden").masks["kernel"].assign(np.arange(40).reshape(5, 8) % 4 == 0)
    late = ConstantSparsity(0.5, begin_step=100)
    with pytest.warns(UserWarning, match="ends at step"):
        history = train(wrapped, [PruningCallback(recipe=Rule("hidden", Unstructured(), schedule=late, min_weights=1))])
    assert history["sparsity"] == [0.75, 0.75]


def test_channels_are_followed_through_wrappers() -> None:
    def make() -> Any:
        keras.utils.set_random_seed(7)
        given = keras.Input((8, 8, 4))
        x = layers.Conv2D(8, 3, padding="same", name="first")(given)
        x = layers.Add()([x, layers.Conv2D(8, 3, padding="same", name="second")(x)])
        return keras.Model(given, layers.Dense(1)(layers.GlobalAveragePooling2D()(x)))

    recipe = Rule(None, Filters(), schedule=ConstantSparsity(0.5, frequency=1), min_weights=1)
    kernels = {}
    for wrapping in (False, True):
        model = wrap(make(), recipe) if wrapping else make()
        model.compile(keras.optimizers.SGD(0.0), "mse")
        pruning = PruningCallback(recipe=recipe)
        train(model, [pruning], epochs=1)
        assert "coupled" in str(pruning.report)
        kernels[wrapping] = [strip(model).get_layer(name).kernel.numpy() for name in ("first", "second")]
    np.testing.assert_equal(kernels[True], kernels[False])


def test_mixed_precision_masks_in_the_type_that_the_layer_computes_with() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    wrapped = wrap(sequential(), EVERYTHING)
    wrapped.get_layer("hidden").masks["kernel"].assign(np.arange(40).reshape(5, 8) % 2 == 0)
    x = example(wrapped)
    assert wrapped.get_layer("hidden")(x).dtype == "float16"
    np.testing.assert_equal(outputs(strip(wrapped), x), outputs(wrapped, x))


def test_masks_of_time_steps_pass_through_a_wrapper() -> None:
    given = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(given)
    x = layers.LSTM(3, name="lstm", return_sequences=True)(layers.TimeDistributed(layers.Dense(4), name="each")(x))
    model = keras.Model(given, layers.LSTM(2, name="last")(x))
    wrapped = wrap(model, EVERYTHING)
    assert {"each", "lstm", "last"} <= {each.name for each in wrappers_in(wrapped)}
    words = np.array([[3, 1, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6]])
    np.testing.assert_equal(outputs(wrapped, words), outputs(model, words))


def test_subclassed_models_are_served_by_the_callback() -> None:
    model = Own(8)
    model(np.zeros((1, 5)))
    with pytest.raises(PruningError, match="PruningCallback"):
        wrap(model, EVERYTHING)


def test_models_that_cannot_be_copied_are_refused() -> None:
    class Needy(layers.Dense):  # type: ignore[misc]  # Keras has no type information
        def __init__(self, units: int, other: object, **options: Any) -> None:
            super().__init__(units, **options)

        def get_config(self) -> dict[str, Any]:
            return super().get_config()

    needy = keras.Sequential([keras.Input((5,)), Needy(4, object(), name="needy"), layers.Dense(1)])
    with pytest.raises(PruningError, match=r"'needy' must be copied, by get_config .* TypeError"):
        wrap(needy, EVERYTHING)

    class Making(keras.Model):  # type: ignore[misc]  # Keras has no type information
        def __init__(self, units: int) -> None:
            given = keras.Input((5,))
            super().__init__(given, layers.Dense(1)(layers.Dense(units)(given)))

    with pytest.raises(PruningError, match="whose own __init__ makes the graph"):
        wrap(Making(4), EVERYTHING)

    dense = layers.Dense(4)
    given = keras.Input((3, 4))
    parts = layers.TimeDistributed(dense, name="a")(layers.TimeDistributed(dense, name="b")(given))
    with pytest.raises(PruningError, match="of which parts share weights"):
        wrap(keras.Model(given, layers.Dense(1)(layers.Flatten()(parts))), EVERYTHING)


def test_bad_input_is_named() -> None:
    with pytest.raises(PruningError, match="must be a Keras model"):
        wrap(layers.Dense(3), EVERYTHING)
    with pytest.raises(PruningError, match="must be built"):
        wrap(keras.Sequential([layers.Dense(3)]), EVERYTHING)
    with pytest.raises(RecipeError, match="matches none of"):
        wrap(sequential(), Rule("nowhere", Unstructured(), 0.5))
    with pytest.raises(PruningError, match="no layer to prune"):
        wrap(sequential(), Rule(None, Unstructured(), 0.5))
    with pytest.raises(PruningError, match="wrapped layers: \\['hidden'\\]"):
        wrap(wrap(sequential(), EVERYTHING), EVERYTHING)
    with pytest.raises(PruningError, match="must name kernels of the layer 'small'"):
        Pruned(layers.Dense(3, name="small"), kernels=["bias"]).build((None, 2))
    with pytest.raises(PruningError, match="none that can be pruned"):
        Pruned(layers.BatchNormalization()).build((None, 2))


@pytest.mark.parametrize("wrong", ["yes", 1, None])
def test_switches_are_booleans(wrong: Any) -> None:
    with pytest.raises(PruningError, match=rf"`straight_through` must be True or False\. Received: .*={wrong!r}\."):
        wrap(sequential(), EVERYTHING, straight_through=wrong)
    with pytest.raises(PruningError, match=r"`straight_through` must be True or False"):
        Pruned(layers.Dense(3), straight_through=wrong)


def test_only_layers_are_wrapped() -> None:
    for wrong in ("x", None, layers.Dense):
        with pytest.raises(PruningError, match=r"`layer` of `Pruned` must be a Keras layer.*Received: layer="):
            Pruned(wrong)


def test_a_wrapper_that_another_layer_makes_cannot_be_taken_off() -> None:
    @keras.saving.register_keras_serializable("wrapping")
    class Holder(layers.Layer):  # type: ignore[misc]  # Keras has no type information
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.inner = Pruned(layers.Dense(4, name="inner"))

        def build(self, shape: Any) -> None:
            self.inner.build(shape)

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs)

    with pytest.raises(PruningError, match="that another layer makes"):
        strip(keras.Sequential([keras.Input((5,)), Holder()]))


def test_quantized_layers_are_refused_before_they_compute_something_else() -> None:
    wrapped = wrap(sequential(), EVERYTHING)
    wrapped.get_layer("hidden").layer.quantize("int8")
    with pytest.raises(PruningError, match="must stay where it was"):
        wrapped(np.zeros((1, 5)))


def test_a_failing_layer_gets_its_kernel_back() -> None:
    wrapper = Pruned(layers.Dense(3))
    wrapper.build((None, 2))
    kernel = wrapper.layer.kernel
    with pytest.raises(ValueError, match="incompatible with the layer"):
        wrapper(np.zeros((1, 7)))
    assert wrapper.layer.kernel is kernel


def test_two_callbacks_prune_layers_of_one_wrapped_model(tmp_path: Path) -> None:
    rules = [Rule(name, Unstructured(), schedule=ConstantSparsity(0.5), min_weights=1) for name in ("hidden", "head")]
    wrapped = wrap(sequential(), rules)
    wrapped.compile("adam", "mse")
    state = tmp_path / "pruning.npz"
    pruning = [PruningCallback(recipe=rules[0]), PruningCallback(recipe=rules[1], checkpoint=state)]
    saving = keras.callbacks.ModelCheckpoint(tmp_path / "model.keras")
    wrapped.fit(RANDOM.random((8, 5)), RANDOM.random((8, 2)), epochs=2, verbose=0, callbacks=[*pruning, saving])
    assert state.exists()
    assert not {"save_own_variables", "load_own_variables"} & set(vars(wrapped.optimizer))
    for name in ("hidden", "head"):
        assert (strip(wrapped).get_layer(name).kernel.numpy() == 0).mean() == 0.5
