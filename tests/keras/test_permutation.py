# SPDX-License-Identifier: Apache-2.0
"""Channels are reordered so that patterns keep more, and networks compute what they did before."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tests.keras.channel_models import NETWORKS, randomize, run, samples
from tfprune.errors import PatternError, PruningError
from tfprune.keras.channels.orders import blocks, candidate_orders, chain
from tfprune.keras.layers import find_weights
from tfprune.keras.permutation import permute_channels
from tfprune.sparsity.patterns import (
    BlockPunched,
    BlockRowsColumns,
    Channels,
    Filters,
    Groups,
    KernelElements,
    KernelPatterns,
    NofM,
    Pattern,
    Unstructured,
)
from tfprune.sparsity.select import select


@pytest.fixture(autouse=True)
def fresh_keras() -> None:
    # Without clearing Keras' state, as other tests do: that takes longer than most tests here.
    keras.utils.set_random_seed(1)


def kept_share(model: Any, pattern: Pattern, sparsity: float | None) -> float:
    """Share of the magnitude of all kernels that a pattern keeps, counted anew."""
    kept = total = 0.0
    for weight in find_weights(model, None, 1)[0]:
        values = weight.variable.numpy()
        mask = select(values, pattern, sparsity, layout=weight.layout)
        kept += np.abs(values[mask]).sum()
        total += np.abs(values).sum()
    return kept / total


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_compute_the_same_and_keep_more(name: str) -> None:
    model = NETWORKS[name]()
    randomize(model, exact=True)
    inputs = samples(model, exact=True)
    outputs, kept = run(model, inputs), kept_share(model, Groups(rows=4), 0.8)
    report = permute_channels(model, Groups(rows=4), 0.8, min_weights=1)
    np.testing.assert_array_equal(run(model, inputs), outputs)
    assert any(space.applied for space in report.spaces)
    assert report.before == pytest.approx(kept, rel=1e-6)
    assert report.after == pytest.approx(kept_share(model, Groups(rows=4), 0.8), rel=1e-6)
    assert report.after > report.before
    for space in report.spaces:
        assert space.applied == (not space.reason)
        if space.applied:
            assert space.before is not None
            assert space.after is not None
            assert space.after > space.before


@pytest.mark.parametrize(
    ("pattern", "sparsity"),
    [
        (Groups(rows=4, aligned=True), 0.7),
        (Groups(rows=1, cols=4, along="input"), 0.7),
        (Groups(rows=2, cols=2, along="input"), 0.7),
        (NofM(keep=1, of=4), None),
        (BlockPunched(rows=4, cols=2), 0.7),
        (BlockRowsColumns(rows=4, cols=4), 0.7),
        (KernelElements(share=4), 0.5),
    ],
    ids=str,
)
def test_patterns_over_rows_columns_and_both(pattern: Pattern, sparsity: float | None) -> None:
    model = NETWORKS["residual"]()
    randomize(model, exact=True)
    inputs = samples(model, exact=True)
    outputs = run(model, inputs)
    report = permute_channels(model, pattern, sparsity, filters=["block*_a", "block*_b"])
    np.testing.assert_array_equal(run(model, inputs), outputs)
    assert report.after > report.before


@pytest.mark.parametrize(
    "pattern",
    [Unstructured(), Filters(), Channels(), KernelPatterns(), KernelElements(keep=4, share="filter")],
    ids=str,
)
def test_patterns_that_do_not_care_about_order_change_nothing(pattern: Pattern) -> None:
    model = NETWORKS["residual"]()
    before = model.get_weights()
    report = permute_channels(model, pattern, filters="block?_a")
    assert pattern.extent == (1, 1)
    assert {space.reason for space in report.spaces if space.size > 5} == {
        "no kernel to prune has groups over these channels"
    }
    assert report.after == report.before
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_twice_is_never_worse() -> None:
    model = NETWORKS["residual"]()
    randomize(model, exact=False)
    first = permute_channels(model, Groups(rows=4), 0.8, min_weights=1)
    second = permute_channels(model, Groups(rows=4), 0.8, min_weights=1)
    assert second.before == pytest.approx(first.after, rel=1e-6)
    assert second.after >= second.before


def two_layers(width: int = 16) -> Any:
    return keras.Sequential(
        [keras.Input((20,)), layers.Dense(width, name="first"), layers.ReLU(), layers.Dense(3, name="head")]
    )


def interleaved(inputs: int, width: int) -> np.ndarray:
    """A quarter of the weights is large: four kinds of output channels, one after the other."""
    kinds = np.arange(inputs)[:, None] % 4 == np.arange(width)[None, :] % 4
    return np.where(kinds, 1.0, 0.01).astype(np.float32)


@pytest.mark.parametrize("aligned", [True, False], ids=["aligned", "unaligned"])
def test_hidden_groups_are_found(aligned: bool) -> None:
    model = two_layers()
    model.get_layer("first").kernel.assign(interleaved(20, 16))
    report = permute_channels(model, Groups(rows=4, aligned=aligned), 0.75, min_weights=1)
    (space,) = [space for space in report.spaces if space.layers == ("first",)]
    assert space.before == pytest.approx((0.25 + 0.03 * 0.25) / (1 + 0.03), abs=0.01)
    assert space.after == pytest.approx(1 / 1.03)
    kinds = (model.get_layer("first").kernel.numpy()[:4] > 0.5).argmax(axis=0).reshape(4, 4)
    assert (kinds == kinds[:, :1]).all()


def test_scores_of_a_callable_move_with_their_weights() -> None:
    model = two_layers()
    # Grows with the weights, so that the last call sees scores that no longer fit their old places.
    report = permute_channels(
        model, Groups(rows=4), 0.75, scores=lambda weights: interleaved(*weights.shape), filters="first", min_weights=1
    )
    (space,) = [space for space in report.spaces if space.layers == ("first",)]
    assert space.after == pytest.approx(1 / 1.03)


@pytest.mark.parametrize("scores", ["l2", "squared", "plane_share"])
def test_other_scores(scores: str) -> None:
    model = NETWORKS["inverted"]()
    randomize(model, exact=True)
    inputs = samples(model, exact=True)
    outputs = run(model, inputs)
    report = permute_channels(model, Groups(rows=4), 0.8, scores=scores, min_weights=1)
    np.testing.assert_array_equal(run(model, inputs), outputs)
    assert report.after >= report.before


def test_half_precision_weights() -> None:
    keras.config.set_dtype_policy("bfloat16")
    try:
        model = two_layers()
    finally:
        keras.config.set_dtype_policy("float32")
    x = np.ones((2, 20), np.float32)
    model.get_layer("first").kernel.assign(interleaved(20, 16))
    before = keras.ops.convert_to_numpy(keras.ops.cast(model(x), "float32"))
    assert permute_channels(model, Groups(rows=4), 0.75, min_weights=1).spaces[1].applied
    np.testing.assert_allclose(keras.ops.convert_to_numpy(keras.ops.cast(model(x), "float32")), before, rtol=0.05)


def test_layers_that_stay_dense_do_not_count() -> None:
    report = permute_channels(two_layers(), Groups(rows=4), 0.75)
    (space,) = [space for space in report.spaces if space.layers == ("first",)]
    assert space.reason == "no kernel to prune has groups over these channels"
    assert not any(space.applied for space in report.spaces)
    assert (report.before, report.after) == (1.0, 1.0)


def test_report() -> None:
    model = two_layers()
    model.get_layer("first").kernel.assign(interleaved(20, 16))
    report = permute_channels(model, Groups(rows=4), 0.75, min_weights=1)
    text = str(report)
    assert text.startswith("1 of 3 sets of channels reordered; kept score of all kernels to prune 0.25")
    assert "left alone: output of the model" in text
    found = json.loads(json.dumps(report.to_dict()))
    assert [space["layers"] for space in found["spaces"]] == [[], ["first"], ["head"]]
    assert found["after"] == report.after
    assert "<td>head</td>" in report._repr_html_()


def test_a_trained_optimizer_is_refused_and_a_fresh_one_is_not() -> None:
    model = two_layers()
    model.compile("adam", "mse")
    permute_channels(model, Groups(rows=4), 0.75)
    x, y = np.zeros((2, 20), np.float32), np.zeros((2, 3), np.float32)
    model.fit(x, y, verbose=0)
    with pytest.raises(PruningError, match=r"whose optimizer has done 1 steps.*Compile the model again first"):
        permute_channels(model, Groups(rows=4), 0.75)
    model.compile("adam", "mse")
    permute_channels(model, Groups(rows=4), 0.75)


def test_masks_are_refused() -> None:
    from tfprune.keras.masks import MaskSet

    model = two_layers()
    model.compile("sgd", "mse")
    MaskSet(model.optimizer, [model.get_layer("first").kernel], model.trainable_variables)
    with pytest.raises(PruningError, match="with masks on its weights"):
        permute_channels(model, Groups(rows=4), 0.75)


def test_wrong_arguments() -> None:
    model = two_layers()
    with pytest.raises(PatternError, match="Sparsity is a fraction"):
        permute_channels(model, Groups(rows=4), 80)
    for pattern in (None, "groups", Groups):
        with pytest.raises(PruningError, match=r"`pattern` of `permute_channels` must be a Pattern object.*Received: "):
            permute_channels(model, pattern, 0.8)  # type: ignore[arg-type]
    for least in ("a", -1, True, 1.5):
        with pytest.raises(PruningError, match=rf"`min_weights` must be a whole number.*: min_weights={least!r}\."):
            permute_channels(model, Groups(rows=4), 0.8, min_weights=least)  # type: ignore[arg-type]
    with pytest.raises(PruningError, match="must be a Keras model"):
        permute_channels("model.keras", Groups(rows=4))
    model.get_layer("first").kernel.assign(np.full((20, 16), np.nan))
    with pytest.raises(PruningError, match="infinite weights in layer 'first'"):
        permute_channels(model, Groups(rows=4), min_weights=1)


def test_a_rate_that_a_pattern_does_not_have_is_refused() -> None:
    model = keras.Sequential([keras.Input((64,)), layers.Dense(64), layers.Dense(10)])
    with pytest.raises(PatternError, match="fixes the sparsity"):
        permute_channels(model, NofM(1, 4), 0.5)


def test_kernels_of_zeros_are_left_alone() -> None:
    model = keras.Sequential([keras.Input((32,)), layers.Dense(64, kernel_initializer="zeros"), layers.Dense(10)])
    (space,) = (each for each in permute_channels(model, Groups(rows=4), 0.8).spaces if each.size == 64)
    assert (space.applied, space.reason) == (False, "all scores of its weights are zero")


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12])
def test_orders_are_permutations_and_repeat(count: int) -> None:
    scores = np.abs(np.random.default_rng(count).standard_normal((count, 9)))
    scores[0] = 0  # a channel without any weight
    for name, order in candidate_orders(scores, 0.8, 4).items():
        assert sorted(order) == list(range(count)), name
        np.testing.assert_array_equal(order, candidate_orders(scores.copy(), 0.8, 4)[name])


def test_n_of_m_wants_different_neighbours() -> None:
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(16, name="first"), layers.Dense(24, name="second"), layers.Dense(2)]
    )
    # Inputs 0 .. 3 are large for the same outputs, inputs 4 .. 7 for others, and so on.
    kinds = np.arange(16)[:, None] // 4 == np.arange(24)[None, :] % 4
    model.get_layer("second").kernel.assign(np.where(kinds, 1.0, 0.01))
    report = permute_channels(model, NofM(keep=1, of=4), filters="second", min_weights=1)
    (space,) = [space for space in report.spaces if space.layers == ("first",)]
    assert space.before == pytest.approx((1 + 3 * 0.01) / (4 + 12 * 0.01))
    assert space.after == pytest.approx(4 / (4 + 12 * 0.01))


def test_a_chain_follows_the_nearest_and_blocks_begin_with_the_largest() -> None:
    similarity = np.array([[1, 0, 0.9, 0], [0, 1, 0, 0.8], [0.9, 0, 1, 0.1], [0, 0.8, 0.1, 1]])
    assert list(chain(similarity, 0, 2)) == [0, 2, 3, 1]
    assert list(blocks(similarity, np.array([1.0, 3.0, 2.0, 0.0]), 2)) == [1, 3, 2, 0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50"])
def test_networks_of_keras_applications(name: str) -> None:
    model = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=10)
    randomize(model, exact=False)
    inputs = samples(model, exact=False)
    before = run(model, inputs)
    assert np.ptp(before) > 1e-2
    report = permute_channels(model, Groups(rows=4), 0.8)
    assert sum(space.applied for space in report.spaces) >= 20
    assert report.after > 1.01 * report.before
    np.testing.assert_allclose(run(model, inputs), before, rtol=1e-3, atol=1e-5)
