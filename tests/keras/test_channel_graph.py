# SPDX-License-Identifier: Apache-2.0
"""Channels are followed through every kind of network, and pinned where they cannot be."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from tests.keras.channel_models import NETWORKS, free, made_by, names, randomize, run, samples, shuffle
from tfprune.keras.channels import channel_graph
from tfprune.keras.channels.spaces import Axis, Spaces


@pytest.fixture(autouse=True)
def fresh_keras() -> None:
    # Without clearing Keras' state, as other tests do: that takes longer than most tests here.
    keras.utils.set_random_seed(1)


# Spaces that may be reordered in each network.
FREE = {
    "chain": 3,
    "residual": 6,
    "concatenated": 7,
    "inverted": 4,
    "flattened": 2,
    "two_inputs": 2,
    "nested": 2,
    "shared": 1,
    "sequence": 3,
    "raw_ops": 3,
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("exact", [True, False], ids=["whole_numbers", "floats"])
def test_any_order_of_free_channels_gives_the_same_outputs(name: str, exact: bool) -> None:
    model = NETWORKS[name]()
    randomize(model, exact)
    inputs = samples(model, exact)
    before = run(model, inputs)
    assert np.ptp(before) > 0
    spaces = free(model)
    assert len(spaces) == FREE[name]
    for space in spaces:
        shuffle(space, space.members)
        after = run(model, inputs)
        if exact:
            np.testing.assert_array_equal(after, before)
        else:
            np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_kernel_can_be_left_out(name: str) -> None:
    model = NETWORKS[name]()
    randomize(model, exact=False)
    inputs = samples(model, exact=False, count=4)
    before = run(model, inputs)
    weights = model.get_weights()
    for space in free(model):
        for left_out in (*space.producers, *space.consumers):
            shuffle(space, tuple(each for each in space.members if each is not left_out))
            assert np.abs(run(model, inputs) - before).max() > 1e-4, str(left_out)
            model.set_weights(weights)


def channels_of(spaces: Spaces, axis: Axis) -> list[tuple[int, int]]:
    """Every channel of an axis, as its space and its place in there."""
    return [(space, place) for space in spaces.resolve(axis) for place in range(spaces.size((space,)))]


def joined(pairs: list[tuple[int, int]], count: int) -> list[int]:
    """Smallest member of the class of each of `count` things, after pairs of them were made the same."""
    classes = list(range(count))
    for one, two in pairs:
        old, new = max(classes[one], classes[two]), min(classes[one], classes[two])
        classes = [new if each == old else each for each in classes]
    return classes


@pytest.mark.parametrize("seed", range(40))
def test_spaces_join_exactly_the_channels_that_meet(seed: int) -> None:
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 6, 5)
    first_of = np.cumsum([0, *sizes])
    spaces = Spaces()
    whole = [spaces.new(int(size)) for size in sizes]
    pairs = []
    for _ in range(3):
        parts = [[int(each) for each in random.integers(0, 5, 4)] for _ in range(2)]
        lengths = [sum(int(sizes[each]) for each in part) for part in parts]
        axes = [spaces.part(tuple(whole[each] for each in part), 0, min(lengths)) for part in parts]
        spaces.unify(*axes)
        assert spaces.resolve(axes[0]) == spaces.resolve(axes[1])
        numbers = [[int(first_of[each]) + place for each in part for place in range(sizes[each])] for part in parts]
        pairs += list(zip(*numbers, strict=False))
    found = [channel for space in whole for channel in channels_of(spaces, (space,))]
    wanted = joined(pairs, len(found))
    same = [[one == two for two in found] for one in found]
    assert same == [[one == two for two in wanted] for one in wanted]


def test_producers_of_a_sum_share_a_space() -> None:
    space = made_by(NETWORKS["residual"](), "block1_b")
    assert names(space.producers) == {"block1_b/kernel[3]", "block1_short/kernel[3]"}
    assert names(space.consumers) == {"block2_a/kernel[2]", "block2_short/kernel[2]"}
    assert space.status == "free"
    assert space.shrinks


def test_concatenation_lays_spaces_side_by_side() -> None:
    graph = channel_graph(model := NETWORKS["concatenated"]())
    along = graph.along(model.get_layer("narrow2").kernel, 2)
    assert along is not None
    assert [(next(iter(space.producers)).layer, offset) for space, offset in along] == [
        ("stem", 0),
        ("grow0", 8),
        ("grow1", 12),
    ]


def test_a_space_is_cut_where_only_a_part_is_added() -> None:
    graph = channel_graph(model := NETWORKS["two_inputs"]())
    along = graph.along(model.get_layer("both").kernel, 3)
    assert along is not None
    assert [(space.size, {each.layer for each in space.producers}, offset) for space, offset in along] == [
        (8, {"left", "both"}, 0),
        (4, {"right", "both"}, 8),
    ]


def test_flatten_repeats_channels_at_every_position() -> None:
    (consumer,) = made_by(NETWORKS["flattened"](), "conv").consumers
    assert consumer.offsets == (0, 12, 24, 36)


def test_gates_and_depthwise_kernels_lie_on_the_channels_they_touch() -> None:
    space = made_by(NETWORKS["inverted"](), "expand")
    assert names(space.producers) == {"expand/kernel[3]", "excite/kernel[3]"}
    assert {"depthwise/kernel[2]", "depthwise/bias[0]", "excite/bias[0]"} <= names(space.carried)
    assert names(space.consumers) == {"squeeze/kernel[2]", "project/kernel[2]"}


def test_layers_in_nested_models_are_named_with_their_path() -> None:
    space = made_by(NETWORKS["nested"](), "backbone/inner")
    assert names(space.consumers) == {"backbone/second/kernel[2]", "tail/inner/kernel[2]"}


def test_a_layer_called_on_its_own_result_has_one_space() -> None:
    space = made_by(NETWORKS["shared"](), "again")
    assert names(space.producers) == {"conv/kernel[3]", "again/kernel[3]"}
    assert "again/kernel[2]" in names(space.consumers)


def test_inputs_and_outputs_are_pinned() -> None:
    graph = channel_graph(keras.Sequential([keras.Input((6,), name="x"), layers.Dense(4, name="head")]))
    assert [(space.size, space.pinned_reason) for space in graph.spaces] == [
        (6, "input 'x' of the model"),
        (4, "output of the model"),
    ]


def test_text() -> None:
    model = keras.Sequential([keras.Input((6,), name="x"), layers.Dense(4, name="a"), layers.Dense(2, name="b")])
    assert str(channel_graph(model)) == (
        "space  size  producers    consumers    carried  status\n"
        "-----  ----  -----------  -----------  -------  ------------------------------\n"
        "0      6     -            a/kernel[0]  -        pinned: input 'x' of the model\n"
        "1      4     a/kernel[1]  b/kernel[0]  a        free\n"
        "2      2     b/kernel[1]  -            b        pinned: output of the model"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50", "EfficientNetB0", "DenseNet121", "MobileNetV3Small"])
def test_networks_of_keras_applications(name: str) -> None:
    model = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=10)
    randomize(model, exact=False)
    inputs = samples(model, exact=False)
    before = run(model, inputs)
    assert np.ptp(before) > 1e-2
    spaces = free(model)
    assert len(spaces) >= 20
    for space in spaces:
        shuffle(space, space.members)
    np.testing.assert_allclose(run(model, inputs), before, rtol=1e-3, atol=1e-5)
