# SPDX-License-Identifier: Apache-2.0
"""Filters and channels are chosen jointly, and arrays really can shrink by those that are removed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tests.keras.channel_models import IMAGE, NETWORKS, clipped, randomize, run, samples
from tfprune.errors import PatternError, PruningError
from tfprune.keras.coupling import CoupledMasks, Coupling
from tfprune.keras.layers import PrunableWeight, find_weights
from tfprune.sparsity.patterns import Channels, Filters, Groups, Pattern
from tfprune.sparsity.select import select


@pytest.fixture(autouse=True)
def fresh_keras() -> None:
    # Without clearing Keras' state, as other tests do: that takes longer than most tests here.
    keras.utils.set_random_seed(1)


def all_kernels(model: Any) -> list[PrunableWeight]:
    """Every kernel, that of the head included."""
    return find_weights(model, "*", 1)[0]


def choose(
    model: Any, pattern: Pattern, sparsity: float, weights: list[PrunableWeight] | None = None
) -> tuple[Coupling, CoupledMasks]:
    """Chooses masks for kernels and applies them."""
    weights = all_kernels(model) if weights is None else weights
    coupling = Coupling(model)
    chosen = coupling.select([(each, each.variable.numpy()) for each in weights], pattern, sparsity)
    for weight, mask in zip(weights, chosen.masks, strict=True):
        weight.variable.assign(np.where(mask, weight.variable.numpy(), 0))
    return coupling, chosen


def shrunk(model: Any, coupling: Coupling, chosen: CoupledMasks) -> Any:
    """The model without the removed channels."""
    kept_of = {group.space: kept for group, kept in zip(chosen.groups, chosen.kept, strict=True) if group.shrinks}
    values = {id(variable): variable.numpy() for variable in model.variables}
    for variable in model.variables:
        for axis in range(len(variable.shape)):
            along = coupling.graph.along(variable, axis) or []
            keep = [
                start + each
                for space, start in along
                for each in np.flatnonzero(kept_of.get(space.index, np.ones(space.size, bool)))
            ]
            if along:
                values[id(variable)] = np.take(values[id(variable)], keep, axis=axis)

    def smaller(layer: Any) -> Any:
        config = layer.get_config()
        outputs = {"filters": -1, "units": -1}
        if isinstance(layer, layers.Conv2DTranspose):
            outputs = {"filters": -2}
        for name, axis in outputs.items():
            if name in config and not isinstance(layer, layers.SeparableConv2D):
                config[name] = values[id(layer.kernel)].shape[axis]
            elif name in config:
                config[name] = values[id(layer.pointwise_kernel)].shape[axis]
        return type(layer).from_config(config)

    small = keras.models.clone_model(model, clone_function=smaller)
    small.set_weights([values[id(variable)] for variable in model.weights])
    return small


def without_shift(model: Any) -> None:
    """Removed filters give zeros: no bias, no mean, no offset behind them."""
    for variable in model.variables:
        if variable.name in ("bias", "beta", "moving_mean"):
            variable.assign(np.zeros(variable.shape))


NETS = ["chain", "residual", "concatenated", "inverted", "flattened", "two_inputs"]


@pytest.mark.parametrize("pattern", [Filters(), Channels()], ids=str)
@pytest.mark.parametrize("name", NETS)
def test_arrays_can_shrink(name: str, pattern: Pattern) -> None:
    model = NETWORKS[name]()
    randomize(model, exact=True)
    if isinstance(pattern, Filters):
        without_shift(model)
    inputs = samples(model, exact=True, count=4)
    coupling, chosen = choose(model, pattern, 0.4)
    assert sum(group.shrinks for group in chosen.groups) >= 2
    pruned = run(model, inputs)
    assert np.ptp(pruned) > 0
    small = shrunk(model, coupling, chosen)
    assert small.count_params() < 0.75 * model.count_params()
    np.testing.assert_array_equal(run(small, inputs), pruned)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("pattern", [Filters(), Channels()], ids=str)
def test_members_of_a_space_lose_the_same_channels(name: str, pattern: Pattern) -> None:
    model = NETWORKS[name]()
    randomize(model, exact=False)
    weights = all_kernels(model)
    coupling, chosen = choose(model, pattern, 0.4, weights)
    masks = {id(weight.variable): mask for weight, mask in zip(weights, chosen.masks, strict=True)}
    checked = 0
    for group, kept in zip(chosen.groups, chosen.kept, strict=True):
        if not group.shrinks:
            continue
        assert group.space is not None
        space = coupling.graph.spaces[group.space]
        assert kept.sum() == max(1, np.floor(0.6 * group.size + 0.5))
        for member in space.producers if isinstance(pattern, Filters) else space.consumers:
            lines = np.moveaxis(masks[id(member.variable)], member.axis, 0)
            for start in member.offsets:
                piece = lines[start : start + space.size].reshape(space.size, -1)
                assert (piece == kept[:, None]).all()
                checked += 1
    assert checked >= 2


def adding(*names: str) -> Any:
    """Dense layers whose results are added, and a head."""
    inputs = keras.Input((4,))
    x = layers.Add()([layers.Dense(3, use_bias=False, name=name)(inputs) for name in names])
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


def test_channels_are_worth_the_sum_over_kernels() -> None:
    model = adding("a", "b")
    model.get_layer("a").kernel.assign([[1, 5, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]])
    model.get_layer("b").kernel.assign([[0, 0, 4], [0, -1, 0], [0, 0, 3], [1, 0, 0]])
    weights = find_weights(model, ["a", "b"], 1)[0]
    _, chosen = choose(model, Filters(), 0.6, weights)
    assert len(chosen.groups) == 1
    assert [list(kept) for kept in chosen.kept] == [[False, False, True]]  # 3, 6 and 7
    for mask in chosen.masks:
        np.testing.assert_array_equal(mask, np.broadcast_to([False, False, True], (4, 3)))


def test_a_root_is_taken_kernel_by_kernel() -> None:
    model = adding("a", "b")
    model.get_layer("a").kernel.assign([[3, 5, 0], [4, 0, 0], [0, 0, 0], [0, 0, 0]])
    model.get_layer("b").kernel.assign([[0, 1, 7], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    weights = find_weights(model, ["a", "b"], 1)[0]
    kernels = [(each, each.variable.numpy()) for each in weights]
    # Norms: 5 + 0, 5 + 1, 0 + 7. Squares: 25, 26, 49.
    chosen = Coupling(model).select(kernels, Filters(), 0.3, scores="l2")
    np.testing.assert_array_equal(chosen.kept[0], [False, True, True])
    worth = np.zeros((4, 3))
    worth[0, 0] = 9
    chosen = Coupling(model).select(kernels, Filters(), 0.6, scores=[worth, np.abs])
    np.testing.assert_array_equal(chosen.kept[0], [True, False, False])


def test_equal_channels_stay_in_their_order() -> None:
    model = adding("a", "b")
    for name in "ab":
        model.get_layer(name).kernel.assign(np.ones((4, 3)))
    _, chosen = choose(model, Filters(), 0.3, find_weights(model, ["a", "b"], 1)[0])
    np.testing.assert_array_equal(chosen.kept[0], [True, True, False])


def test_one_channel_always_stays() -> None:
    model = adding("a", "b")
    _, chosen = choose(model, Filters(), 0.95, find_weights(model, ["a", "b"], 1)[0])
    assert chosen.kept[0].sum() == 1


def test_sparsity_zero_keeps_everything() -> None:
    model = NETWORKS["residual"]()
    _, chosen = choose(model, Filters(), 0.0)
    assert all(mask.all() for mask in chosen.masks)


def test_pinned_channels_are_chosen_by_each_kernel_alone() -> None:
    inputs = keras.Input((6,))
    x, y = layers.Dense(10, name="x")(inputs), layers.Dense(10, name="y")(inputs)
    model = keras.Model(inputs, layers.Add()([x, y]))
    values = [model.get_layer(name).kernel.numpy() for name in "xy"]
    _, chosen = choose(model, Filters(), 0.7)
    assert [(group.layers, group.reason) for group in chosen.groups] == [
        (("x",), "output of the model"),
        (("y",), "output of the model"),
    ]
    for mask, value in zip(chosen.masks, values, strict=True):
        np.testing.assert_array_equal(mask, select(value, Filters(), 0.7))


def test_layers_left_out_are_named() -> None:
    model = NETWORKS["residual"]()
    _, chosen = choose(model, Filters(), 0.5, find_weights(model, "block?_b", 1)[0])
    assert [group.reason for group in chosen.groups] == [
        "not pruned with the others: stem",
        "not pruned with the others: block1_short",
        "not pruned with the others: block2_short",
    ]
    _, chosen = choose(model, Channels(), 0.5, find_weights(model, "block?_b", 1)[0])
    assert [group.reason for group in chosen.groups] == ["", "", ""]


def test_averaged_channels_are_chosen_jointly_but_keep_their_number() -> None:
    inputs = keras.Input((6,))
    x = layers.LayerNormalization(name="n")(layers.Dense(8, name="a")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="head")(x))
    _, chosen = choose(model, Filters(), 0.5, find_weights(model, "a", 1)[0])
    assert [group.reason for group in chosen.groups] == ["LayerNormalization 'n' averages over channels"]


def test_depthwise_kernels_go_along() -> None:
    inputs = keras.Input(IMAGE)
    x = layers.Conv2D(8, 1, name="expand")(inputs)
    depthwise = layers.DepthwiseConv2D(3, name="depthwise")
    x = layers.Conv2D(4, 1, name="project")(clipped(depthwise(clipped(x))))
    model = keras.Model(inputs, layers.GlobalMaxPooling2D()(x))
    kernel = find_weights(model, "depthwise", 1)[0][0]
    for pattern, partner in ((Filters(), "expand"), (Channels(), "project")):
        weights = [kernel, *find_weights(model, partner, 1)[0]]
        _, chosen = choose(model, pattern, 0.5, weights)
        (group,) = chosen.groups
        assert group.layers == ("depthwise", partner)
        assert group.shrinks
        np.testing.assert_array_equal(chosen.masks[0].any(axis=(0, 1, 3)), chosen.kept[0])
        assert chosen.kept[0].sum() == 4


def test_kernels_that_the_graph_does_not_know_choose_alone() -> None:
    inputs = keras.Input(IMAGE)
    conv, depthwise = layers.Conv2D(8, 1, groups=1, name="c"), layers.DepthwiseConv2D(3, depth_multiplier=2, name="d")
    model = keras.Model(inputs, layers.GlobalMaxPooling2D()(depthwise(conv(inputs))))
    weights = find_weights(model, "d", 1)[0]
    value = depthwise.kernel.numpy()
    _, chosen = choose(model, Filters(), 0.5, weights)
    np.testing.assert_array_equal(chosen.masks[0], select(value, Filters(), 0.5, layout="depthwise_conv2d"))
    assert chosen.groups[0].reason == "its channels could not be followed through the model"
    _, chosen = choose(model, Channels(), 0.5, weights)
    assert chosen.masks[0].all()  # it has one input channel a filter, and one stays


def test_text() -> None:
    model = NETWORKS["residual"]()
    _, chosen = choose(model, Filters(), 0.5)
    lines = [line.split(maxsplit=2) for line in str(chosen).splitlines()]
    assert lines[0] == ["channels", "kept", "layers                  status"]
    assert lines[2][:2] == ["8", "4"]
    assert lines[2][2].split() == ["stem,", "block0_b", "shrinks"]
    assert lines[-1][2].split(maxsplit=1) == ["head", "keeps its shape: output of the model"]


def test_wrong_arguments() -> None:
    model = adding("a", "b")
    kernels = [(each, each.variable.numpy()) for each in all_kernels(model)]
    with pytest.raises(PatternError, match=r"for `Filters` and `Channels`\. Received: Groups"):
        Coupling(model).select(kernels, Groups(), 0.5)
    with pytest.raises(PatternError, match="must be a number in"):
        Coupling(model).select(kernels, Filters(), 1.0)
    with pytest.raises(PatternError, match=r"one for each of 3 kernels\. Received: 1"):
        Coupling(model).select(kernels, Filters(), 0.5, scores=["l1"])
    with pytest.raises(PruningError, match="must be built"):
        Coupling(keras.Sequential([layers.Dense(3)]))
