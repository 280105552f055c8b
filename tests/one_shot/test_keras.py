# SPDX-License-Identifier: Apache-2.0
"""One-shot pruning of Keras models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

import tfprune as tp
from tests.one_shot.models import images, network, output_error, recipe
from tfprune.errors import ModelError, OutputError, PruningError, RecipeError
from tfprune.keras.layers import layer_info
from tfprune.sparsity.patterns import BlockPunched, Filters, Groups, KernelElements, NofM, Pattern, Unstructured

pytestmark = pytest.mark.backends
L = keras.layers


def answers(model: Any, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(keras.ops.convert_to_numpy(model(data, training=False)))


@pytest.mark.parametrize(
    ("pattern", "sparsity"),
    [(Groups(rows=4), 0.6), (BlockPunched(4, 2), 0.5), (NofM(2, 4), None), (Unstructured(), 0.8)],
    ids=str,
)
def test_data_make_the_outputs_differ_less_on_other_images_too(pattern: Pattern, sparsity: float | None) -> None:
    model, held = network(), images(100, seed=5)
    dense, weights = answers(model, held), model.get_weights()
    plain = tp.prune(model, recipe(pattern, sparsity))
    before = output_error(model, dense, held)
    masks = [model.get_layer(name).kernel.numpy() != 0 for name in ("first", "second", "hidden")]
    model.set_weights(weights)
    pruned = tp.prune(model, recipe(pattern, sparsity), calibration=images(96))
    assert pruned.model is model
    assert output_error(model, dense, held) < 0.6 * before
    assert pruned.report.sparsity == pytest.approx(plain.report.sparsity, abs=1e-3)
    for name, mask in zip(("first", "second", "hidden"), masks, strict=True):
        found = model.get_layer(name).kernel.numpy() != 0
        assert np.count_nonzero(found) == pytest.approx(np.count_nonzero(mask), abs=8)
    for layer in pruned.report.layers[:3]:
        assert layer.status == "reconstructed"
        assert layer.error_after is not None
        assert layer.error_before is not None
        assert layer.error_after < layer.error_before
    assert pruned.report.examples == 96
    assert pruned.report.recalibrated == ("first_norm", "second_norm")


def test_without_data_only_zeros_are_new() -> None:
    model = network()
    before = {weight.path: weight.numpy() for weight in model.weights}
    report = tp.prune(model, recipe()).report
    for name in ("first", "second", "hidden"):
        kernel = model.get_layer(name).kernel
        assert np.array_equal(
            kernel.numpy() != 0, tp.select(before[kernel.path], Groups(rows=4), 0.6) & (before[kernel.path] != 0)
        )
    changed = {weight.path for weight in model.weights if not np.array_equal(weight.numpy(), before[weight.path])}
    assert changed == {model.get_layer(name).kernel.path for name in ("first", "second", "hidden")}
    kept = {
        path: model_weight for path, model_weight in ((w.path, w.numpy()) for w in model.weights) if path in changed
    }
    assert all(np.array_equal(value[value != 0], before[path][value != 0]) for path, value in kept.items())
    assert [layer.status for layer in report.layers] == ["pruned"] * 3 + ["skipped"] * 2
    assert report.examples == 0
    assert "without data" in str(report)


def test_later_layers_see_what_the_pruned_ones_give_them() -> None:
    """With the inputs of the dense model the second layer would not know what the first one got wrong."""
    model = keras.Sequential([keras.Input((6,)), L.Dense(8, name="first"), L.Dense(4, name="second"), L.Dense(1)])
    data = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    first, second = (model.get_layer(name) for name in ("first", "second"))
    dense = data @ first.kernel.numpy() + first.bias.numpy()
    outputs = dense @ second.kernel.numpy()
    rule = tp.Rule(["first", "second"], Unstructured(), 0.5, min_weights=0)
    report = tp.prune(model, rule, calibration=data).report
    now = data @ first.kernel.numpy() + first.bias.numpy()
    found = now @ second.kernel.numpy() + second.bias.numpy()
    expected = np.square(found - outputs).sum() / np.square(outputs).sum()
    assert report.layers[1].error_after == pytest.approx(expected, rel=1e-3)


def test_a_model_whose_statistics_do_not_fit_the_data_stays_itself() -> None:
    """Statistics of the data alone would make another model of one whose moving statistics are its initial ones."""
    model, held = network(), images(100, seed=6)
    dense = answers(model, held)
    tp.prune(model, tp.Rule("first", Unstructured(), 0.02, min_weights=0), calibration=images(64))
    assert output_error(model, dense, held) < 0.02


def test_statistics_follow_what_pruning_did_to_the_inputs() -> None:
    model = keras.Sequential(
        [keras.Input((8, 8, 4)), L.Conv2D(16, 3, use_bias=False, name="conv"), L.BatchNormalization(name="norm")]
    )
    norm = model.get_layer("norm")
    data = images(64)
    inputs = answers(keras.Model(model.inputs[0], model.get_layer("conv").output), data)
    norm.moving_mean.assign(inputs.mean(axis=(0, 1, 2)))
    norm.moving_variance.assign(inputs.var(axis=(0, 1, 2)))
    tp.prune(model, tp.Rule("conv", Unstructured(), 0.5, min_weights=0), calibration=data)
    pruned = answers(keras.Model(model.inputs[0], model.get_layer("conv").output), data)
    assert np.allclose(norm.moving_mean.numpy(), pruned.mean(axis=(0, 1, 2)), atol=1e-4)
    assert np.allclose(norm.moving_variance.numpy(), pruned.var(axis=(0, 1, 2)), rtol=1e-3)
    # With it go outputs of mean 0 and variance 1, as before.
    assert np.allclose(answers(model, data).var(axis=(0, 1, 2)), 1, atol=0.1)


def test_too_few_values_leave_the_statistics() -> None:
    model = keras.Sequential([keras.Input((6,)), L.Dense(16, name="first"), L.BatchNormalization(), L.Dense(1)])
    old = [weight.numpy() for weight in model.layers[1].weights]
    report = tp.prune(
        model, tp.Rule("first", Unstructured(), 0.5, min_weights=0), calibration=np.ones((20, 6), np.float32)
    ).report
    assert all(np.array_equal(one, other.numpy()) for one, other in zip(old, model.layers[1].weights, strict=True))
    assert report.recalibrated == ()
    assert "keep their statistics: too few values" in str(report)


def test_whole_filters_are_chosen_jointly_and_reconstructed() -> None:
    inputs = keras.Input((8, 8, 4))
    x = L.Conv2D(16, 3, padding="same", name="one")(inputs)
    x = L.Add()([x, L.Conv2D(16, 1, name="two")(L.ReLU()(x))])
    model = keras.Model(inputs, L.Conv2D(4, 1, name="last")(L.ReLU()(x)))
    rule = tp.Rule(["one", "two"], Filters(), 0.25, min_weights=0)
    report = tp.prune(model, rule, calibration=images(40)).report
    gone = [~model.get_layer(name).kernel.numpy().any(axis=(0, 1, 2)) for name in ("one", "two")]
    assert np.array_equal(*gone)
    assert gone[0].sum() == 4
    assert {layer.status for layer in report.layers if layer.pattern} == {"reconstructed"}
    assert "coupled" in str(report)


class Nested(keras.Model):
    """A subclassed model with a shared layer, in an order that only running it tells."""

    def __init__(self) -> None:
        super().__init__()
        self.late = L.Dense(12, name="late")
        self.shared = L.Dense(8, activation="relu", name="shared")
        self.head = L.Dense(2, name="head")

    def call(self, inputs: Any) -> Any:
        return self.head(self.late(self.shared(self.shared(inputs))))


def test_subclassed_models_and_shared_layers() -> None:
    model = Nested()
    data = np.random.default_rng(1).normal(size=(60, 8)).astype(np.float32)
    dense = answers(model, data)
    weights = model.get_weights()
    rule = tp.Rule(["late", "shared"], Unstructured(), 0.5, min_weights=0)
    tp.prune(model, rule)
    before = output_error(model, dense, data)
    model.set_weights(weights)
    # Batches of another size, and labels that are not used.
    batches = [(data[:25], np.zeros(25)), (data[25:], np.zeros(35))]
    report = tp.prune(model, rule, calibration=batches).report
    assert [layer.layer for layer in report.layers] == ["shared", "late", "head"]
    assert report.examples == 60
    assert output_error(model, dense, data) < before
    # The shared layer learned from both of its calls; hooks are gone.
    assert all("call" not in vars(layer) for layer in model.layers)


def test_attention_recurrent_and_idle_layers() -> None:
    inputs = keras.Input((6, 8))
    x = L.MultiHeadAttention(2, 4, name="attention")(inputs, inputs)
    x = L.LSTM(8, name="lstm")(x)
    model = keras.Model(inputs, L.Dense(2, name="head")(x))
    data = np.random.default_rng(2).normal(size=(40, 6, 8)).astype(np.float32)
    report = tp.prune(model, tp.Rule(None, Unstructured(), 0.5, min_weights=0), calibration=data).report
    status = {f"{layer.layer}/{layer.kernel}": layer for layer in report.layers}
    assert {status[f"{name}/kernel"].status for name in ("query", "key", "value", "attention_output")} == {
        "reconstructed"
    }
    assert status["lstm_cell/kernel"].status == "pruned"
    assert "plain magnitude: " in status["lstm_cell/kernel"].reason
    assert status["lstm_cell/recurrent_kernel"].achieved == 0.5


def test_several_inputs_by_name() -> None:
    one, two = keras.Input((6,), name="one"), keras.Input((4,), name="two")
    x = L.Concatenate()([L.Dense(8, name="first")(one), two])
    model = keras.Model([one, two], L.Dense(2, name="head")(L.Dense(8, name="second")(x)))
    data = {"two": np.ones((5, 4), np.float32), "one": np.eye(6, dtype=np.float32)[:5]}
    report = tp.prune(model, tp.Rule(["first", "second"], Unstructured(), 0.5, min_weights=0), calibration=data).report
    assert report.examples == 5
    listed = keras.Model([one], L.Dense(2)(L.Dense(8, name="first")(one)))
    # Handed over as the model takes them: Keras warns of another structure, and here warnings are errors.
    tp.prune(listed, tp.Rule("first", Unstructured(), 0.5, min_weights=0), calibration=data["one"])
    with pytest.raises(PruningError, match="calibration: the model's inputs are 'one', 'two'"):
        tp.prune(model, tp.Rule("first", Unstructured(), 0.5, min_weights=0), calibration=data["one"])


def test_files_are_loaded_and_written(tmp_path: Path) -> None:
    source, target, rules = (tmp_path / name for name in ("model.keras", "pruned.keras", "recipe.yaml"))
    network().save(source)
    rules.write_text(
        "rules:\n  - layers: [first, second, hidden]\n    pattern: {Groups: {rows: 4}}\n    sparsity: 0.6\n"
        "    min_weights: 0\n"
    )
    pruned = tp.prune(source, rules, calibration=images(40))
    with pytest.raises(OutputError, match=r"must end in \.keras"):
        pruned.save(tmp_path / "pruned.tflite")
    with pytest.raises(OutputError, match="the output is the input"):
        pruned.save(source)
    pruned.save(target)
    loaded = keras.saving.load_model(target, compile=False)
    assert np.array_equal(answers(loaded, images(4)), answers(pruned.model, images(4)))
    assert (loaded.get_layer("second").kernel.numpy() == 0).mean() == pytest.approx(0.6, abs=0.01)
    assert pruned.report.to_dict()["layers"][0]["error_after"] < 0.5


def test_the_recipe_of_a_file_names_layers_of_the_model() -> None:
    assert "Conv2D" in layer_info(network().get_layer("first")).class_names
    with pytest.raises(RecipeError, match="must match a layer"):
        tp.prune(network(), tp.Rule("third", Groups(rows=4), 0.5))


def test_what_cannot_be_pruned_is_said_before_anything_changes() -> None:
    model = network()
    weights = model.get_weights()
    cases: list[tuple[Any, Any, type, str]] = [
        (model, tp.Rule("hidden", KernelElements(keep=4), min_weights=0), PruningError, "able to apply to every layer"),
        (model, tp.Rule(None, Groups(rows=4), 0.5, min_weights=10**6), PruningError, "has no layer to prune"),
        (model, 3, RecipeError, "A recipe must be"),
        (17, tp.Rule(None, Groups(rows=4), 0.5), ModelError, "got int: 17"),
        ("missing.keras", tp.Rule(None, Groups(rows=4), 0.5), ModelError, "cannot be read"),
    ]
    for subject, rules, kind, message in cases:
        with pytest.raises(kind, match=message):
            tp.prune(subject, rules)
    for data, message in (
        (np.ones((2, 8, 8, 3)), "calibration for input"),
        (np.full((2, 8, 8, 4), np.nan), "must be finite"),
        (np.ones((0, 8, 8, 4)), "at least one example"),
        (np.full((2, 8, 8, 4), 1e30, np.float32), r"inputs of up to .* of type float32, which overflow\. Scale the ex"),
        ((np.ones((2, 8, 8, 4)), np.ones(2)), r"got shape \(2,\).*; if these are examples and their labels, give the"),
    ):
        with pytest.raises(PruningError, match=message):
            tp.prune(model, recipe(), calibration=data)
    assert all(np.array_equal(one, other) for one, other in zip(weights, model.get_weights(), strict=True))


def test_a_model_is_as_before_when_pruning_breaks_off() -> None:
    model = keras.Sequential(
        [keras.Input((6,)), L.Dense(8, name="first"), L.Rescaling(np.inf), L.Dense(8, name="second"), L.Dense(1)]
    )
    weights, data = model.get_weights(), np.ones((20, 6), np.float32)
    rule = tp.Rule(["first", "second"], Unstructured(), 0.5, min_weights=0)
    with pytest.raises(PruningError, match=r"Layer 'second': .* must be finite .*`calibration`"):
        tp.prune(model, rule, calibration=data)

    def stop(layer: str) -> None:
        if layer == "second":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tp.prune(model, rule, calibration=data, progress=stop)
    assert all(np.array_equal(one, other) for one, other in zip(weights, model.get_weights(), strict=True))
    assert all("call" not in vars(layer) for layer in model.layers)


def test_in_every_batch_the_dense_model_has_its_own_statistics() -> None:
    """Twice the same images in two batches: what a layer read in the dense model is the same in both."""
    data = images(32)
    found = []
    for count in (1, 2):
        model = network()
        report = tp.prune(model, recipe(), calibration=np.concatenate([data] * count)).report
        found.append([(layer.error_before, layer.error_after) for layer in report.layers[:3]])
    assert np.allclose(found[0], found[1], rtol=1e-3)


def test_weights_that_are_not_finite_are_refused() -> None:
    model = network()
    kernel = model.get_layer("second").kernel
    kernel.assign(kernel.numpy() * np.nan)
    with pytest.raises(PruningError, match="layer 'second'"):
        tp.prune(model, recipe())


def test_progress_names_every_layer_in_turn() -> None:
    seen: list[str] = []
    tp.prune(network(), recipe(), progress=seen.append)
    assert seen == ["first", "second", "hidden"]


@pytest.mark.parametrize("calibration", [None, images(32)])
def test_a_recipe_that_skips_every_layer_changes_nothing(calibration: Any) -> None:
    model = network()
    weights = model.get_weights()
    pruned = tp.prune(model, tp.Recipe([tp.Rule("*", skip=True)]), calibration=calibration)
    assert all("skip" in layer.cells()[-1] for layer in pruned.report.layers)
    assert str(pruned.report)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
