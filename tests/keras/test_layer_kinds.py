# SPDX-License-Identifier: Apache-2.0
"""Every pattern on every kind of layer: the right axes, exact counts, masks that hold the pattern."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.keras.test_pruned_layers import DEPTHWISE
from tfprune.errors import PatternError, PruningError
from tfprune.keras.callback import PruningCallback
from tfprune.keras.layers import PrunableWeight, find_weights
from tfprune.sparsity.layouts import LAYOUTS, MatrixShape, matrix_shape, to_matrix
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
from tfprune.sparsity.schedules import ConstantSparsity
from tfprune.sparsity.select import select

layers = keras.layers


def every_kind() -> Any:
    """One layer of each kind; channels that groups of 4 divide, and some that they do not."""
    inputs = keras.Input((8, 8, 6))
    x = layers.Conv2D(16, 3, name="conv2d")(inputs)
    x = layers.Conv2D(16, 1, name="pointwise")(x)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depth2d")(x)
    x = layers.SeparableConv2D(12, 3, padding="same", name="sep2d")(x)
    x = layers.Conv2DTranspose(8, 3, padding="same", name="transpose")(x)
    x = layers.Reshape((36, 8))(x)
    x = layers.Conv1D(16, 3, name="conv1d")(x)
    x = layers.DepthwiseConv1D(3, name="depth1d")(x)
    x = layers.SeparableConv1D(18, 3, depth_multiplier=2, name="sep1d")(x)
    x = layers.AveragePooling1D(7)(x)
    x = layers.EinsumDense("abc,cde->abde", output_shape=(4, 4, 4), name="heads")(x)
    x = layers.EinsumDense("abde,def->abf", output_shape=(4, 16), name="joined")(x)
    x = layers.EinsumDense("abc,bcd->abd", output_shape=(4, 8), name="batched")(x)
    x = layers.Dense(16, name="dense")(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(layers.Flatten()(x)))


KINDS = {
    "conv2d": "conv2d",
    "pointwise": "conv2d",
    "depth2d": "depthwise_conv2d",
    "sep2d/depthwise_kernel": "depthwise_conv2d",
    "sep2d/pointwise_kernel": "conv2d",
    "transpose": "conv2d_transpose",
    "conv1d": "conv1d",
    "depth1d": "depthwise_conv1d",
    "sep1d/depthwise_kernel": "depthwise_conv1d",
    "sep1d/pointwise_kernel": "conv1d",
    "heads": "einsum abc,cde->abde",
    "joined": "einsum abde,def->abf",
    "batched": "einsum abc,bcd->abd",
    "dense": "dense",
    "head": "dense",
}


def key(weight: PrunableWeight) -> str:
    return f"{weight.layer}/{weight.variable.name}" if weight.layer.startswith("sep") else weight.layer


def test_all_kernels_are_found_with_their_layouts() -> None:
    prunable, skipped = find_weights(every_kind(), "*", 1)
    assert {key(each): str(each.layout) for each in prunable} == KINDS
    assert skipped == []
    assert [each.layout for each in prunable if each.layer == "dense"] == [LAYOUTS["dense"]]


def test_depthwise_kernels_stay_dense_unless_named() -> None:
    prunable, skipped = find_weights(every_kind(), None, 1)
    assert {key(each) for each in prunable} == {each for each in KINDS if "dep" not in each and each != "head"}
    assert [(each.layer, each.variable.name) for each in skipped if each.reason == DEPTHWISE] == [
        ("depth2d", "kernel"),
        ("sep2d", "depthwise_kernel"),
        ("depth1d", "kernel"),
        ("sep1d", "depthwise_kernel"),
    ]
    for filters, expected in (
        ("sep2d", {"sep2d/depthwise_kernel", "sep2d/pointwise_kernel"}),
        ("sep2d/*", {"sep2d/depthwise_kernel", "sep2d/pointwise_kernel"}),
        ("*/pointwise_kernel", {"sep2d/pointwise_kernel", "sep1d/pointwise_kernel"}),
        ([layers.DepthwiseConv1D, "sep1d/depth*"], {"depth1d", "sep1d/depthwise_kernel"}),
    ):
        assert {key(each) for each in find_weights(every_kind(), filters, 1)[0]} == expected
    _, skipped = find_weights(every_kind(), "sep2d/pointwise_kernel", 1)
    assert {each.variable.name: each.reason for each in skipped if each.layer == "sep2d"} == {
        "depthwise_kernel": "not selected by `filters` or a rule"
    }


def test_kernel_names_need_a_layer_with_several() -> None:
    with pytest.raises(PruningError, match="matches none of"):
        find_weights(every_kind(), "conv2d/kernel", 1)


def test_an_einsum_that_makes_an_output_stays() -> None:
    inputs = keras.Input((4, 8))
    x = layers.EinsumDense("abc,cd->abd", output_shape=(None, 8), name="hidden")(inputs)
    model = keras.Model(inputs, layers.EinsumDense("abc,cd->abd", output_shape=(None, 8), name="head")(x))
    prunable, skipped = find_weights(model, None, 1)
    assert [each.layer for each in prunable] == ["hidden"]
    assert skipped[0].reason.startswith("last EinsumDense layer: it makes an output of the model")
    assert [each.layer for each in find_weights(model, "head", 1)[0]] == ["head"]


def test_layers_of_attention_are_found() -> None:
    inputs = keras.Input((6, 16))
    x = layers.MultiHeadAttention(2, 8, name="attention")(inputs, inputs)
    model = keras.Model(inputs, layers.Dense(2, name="head")(x))
    prunable, _ = find_weights(model, None, 1)
    assert [each.layer for each in prunable] == ["query", "key", "value", "attention_output"]
    assert [matrix_shape(tuple(each.variable.shape), each.layout).rows for each in prunable] == [16] * 4


@pytest.mark.parametrize("layer", [layers.LSTM(8), layers.GRU(8), layers.SimpleRNN(8)], ids=lambda x: x.name)
def test_cells_of_recurrent_layers_are_pruned_where_they_are(layer: Any) -> None:
    model = keras.Sequential([keras.Input((5, 16)), layers.Bidirectional(layer), layers.Dense(2)])
    prunable, _ = find_weights(model, None, 1)
    assert [each.variable.name for each in prunable] == ["kernel", "recurrent_kernel"] * 2
    assert {str(each.layout) for each in prunable} == {"dense"}
    model.compile("adam", "mse", run_eagerly=True)
    callback = PruningCallback(Groups(rows=4), ConstantSparsity(0.75, frequency=1), min_weights=1)
    x = np.random.default_rng(0).standard_normal((4, 5, 16)).astype(np.float32)
    model.fit(x, np.ones((4, 2)), batch_size=2, verbose=0, callbacks=[callback])
    for each in prunable:
        assert np.mean(np.array(each.variable) == 0) == pytest.approx(0.75)


@pytest.mark.parametrize(
    "layer",
    [
        layers.EinsumDense("abc,c->ab", output_shape=(None,)),
        layers.Conv1DTranspose(4, 3),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_other_layers_are_listed_as_not_supported(layer: Any) -> None:
    model = keras.Sequential([keras.Input((4, 6)), layer])
    prunable, skipped = find_weights(model, None, 1)
    assert prunable == []
    # A kernel of one axis is not worth a line.
    assert {each.reason for each in skipped} <= {f"{type(layer).__name__} weights are not supported"}
    with pytest.raises(PruningError, match="matches only"):
        find_weights(model, layer.name, 1)


def prune(model: Any, pattern: Pattern, sparsity: float | None, filters: Any, **options: Any) -> PruningCallback:
    """Two steps; eager, so that nothing is compiled."""
    model.compile("adam", "mse", run_eagerly=True)
    callback = PruningCallback(pattern, ConstantSparsity(sparsity, frequency=1), filters=filters, min_weights=1)
    images = np.random.default_rng(3).standard_normal((4, 8, 8, 6)).astype(np.float32)
    model.fit(images, np.ones((4, 2)), batch_size=2, verbose=0, callbacks=[callback])
    return callback


def fitting(pattern: Pattern, weights: list[PrunableWeight]) -> list[PrunableWeight]:
    def fits(weight: PrunableWeight) -> bool:
        try:
            pattern.check(matrix_shape(tuple(weight.variable.shape), weight.layout))
        except PatternError:
            return False
        return True

    return [weight for weight in weights if fits(weight)]


@pytest.mark.parametrize(
    ("pattern", "sparsity", "least"),
    [
        (Unstructured(), 0.7, 15),
        (Groups(rows=4, aligned=True), 0.5, 15),
        (Groups(rows=4), 0.6, 15),
        (Groups(rows=1, cols=4, along="input"), 0.6, 15),
        (Groups(rows=2, cols=2), 0.5, 15),
        (Groups(rows=2, balanced=True, unit_rows=4), 0.5, 15),
        (Groups(rows=2, cols=2, along="both"), 0.5, 15),
        (BlockPunched(4, 4), 0.5, 15),
        (BlockRowsColumns(4, 4), 0.6, 15),
        (KernelPatterns(keep=2), 0.8, 7),
        (KernelElements(keep=2, share="kernel"), None, 8),
        (KernelElements(keep=1, share="channel"), None, 8),
        (KernelElements(keep=1, share="filter"), None, 8),
        (KernelElements(keep=2, share="layer"), None, 8),
        (KernelElements(keep=2, share=3), None, 8),
        (KernelElements(share="filter"), 0.5, 8),
        (NofM(2, 4), None, 11),
        (Filters(), 0.5, 15),
        (Channels(), 0.5, 15),
    ],
    ids=lambda value: str(value) if isinstance(value, Pattern) else "",
)
def test_masks_hold_the_pattern_on_every_kind_of_layer(pattern: Pattern, sparsity: float | None, least: int) -> None:
    model = every_kind()
    weights = fitting(pattern, find_weights(model, "*", 1)[0])
    assert len(weights) >= least
    names = {weight.layer for weight in weights}
    report = prune(model, pattern, sparsity, lambda layer: layer.name in names).report
    rows = {(row.layer, row.variable): row for row in report.layers}
    for weight in weights:
        kernel = weight.variable.numpy()
        kept = kernel != 0
        row = rows[weight.layer, weight.variable.name]
        # A depthwise kernel whose channels all stay with their readers keeps everything.
        assert (row.status, row.kept) == ("dense" if kept.all() else "pruned", int(kept.sum())), weight.layer
        assert row.status == "pruned" or "depthwise" in weight.layout.name, weight.layer
        again = select(kernel, pattern, sparsity, layout=weight.layout)
        shape = matrix_shape(kernel.shape, weight.layout)
        rate = pattern.resolve_sparsity(sparsity, kernel.shape, weight.layout)
        most = pattern.kept_cells(rate, kernel.shape, weight.layout) * pattern.cell_size(shape)
        if isinstance(pattern, BlockRowsColumns):
            # Less than a row or column of a block may go beside what the sparsity asks for.
            assert 0 <= most - kept.sum() < 4, weight.layer
            assert not (kept & ~again).any(), weight.layer
        elif isinstance(pattern, Channels) and "depthwise" in weight.layout.name:
            # Goes along with the layers that share its channels: each of its filters stays whole or goes whole.
            filters = to_matrix(kept, weight.layout).reshape(shape.rows, -1)
            assert (filters.all(axis=1) | ~filters.any(axis=1)).all(), weight.layer
        else:
            np.testing.assert_array_equal(again, kept, err_msg=weight.layer)
            assert kept.sum() == most or not cells_are_equal(pattern, shape), weight.layer


def cells_are_equal(pattern: Pattern, shape: MatrixShape) -> bool:
    """Whether no cell is shorter than the others."""
    if isinstance(pattern, KernelPatterns):
        return True
    sizes = pattern.pool(np.ones((shape.rows, shape.segments, shape.cols), np.int64))
    return len(np.unique(sizes[sizes >= 0])) == 1


def alone(name: str) -> tuple[Any, np.ndarray]:
    """A model of one layer, and inputs for it."""
    makers = {
        "conv1d": (lambda: layers.Conv1D(8, 3), (9, 4)),
        "conv2d": (lambda: layers.Conv2D(8, 3), (9, 9, 4)),
        "conv2d_transpose": (lambda: layers.Conv2DTranspose(8, 3), (9, 9, 4)),
        "dense": (lambda: layers.Dense(8), (4,)),
        "depthwise_conv1d": (lambda: layers.DepthwiseConv1D(3, depth_multiplier=2), (9, 4)),
        "depthwise_conv2d": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (9, 9, 4)),
        "abc,cde->abde": (lambda: layers.EinsumDense("abc,cde->abde", (None, 4, 2)), (5, 4)),
        "...c,cd->...d": (lambda: layers.EinsumDense("...c,cd->...d", 8), (5, 4)),
    }
    make, shape = makers[name]
    inputs = np.random.default_rng(5).standard_normal((2, *shape)).astype(np.float32)
    return keras.Sequential([keras.Input(shape), make()]), inputs


ALONE = ("conv1d", "conv2d", "conv2d_transpose", "dense", "depthwise_conv1d", "depthwise_conv2d")
EINSUMS = ("abc,cde->abde", "...c,cd->...d")


@pytest.mark.parametrize("name", [*ALONE, *EINSUMS])
def test_rows_of_the_matrix_are_what_the_layer_puts_out(name: str) -> None:
    model, inputs = alone(name)
    weight = find_weights(model, "*", 1)[0][0]
    kernel = weight.variable.numpy()
    mask = select(kernel, Filters(), 0.5, layout=weight.layout)
    weight.variable.assign(kernel * mask)
    outputs = model(inputs).numpy()
    shape = matrix_shape(kernel.shape, weight.layout)
    silent = np.abs(outputs.reshape(-1, shape.rows)).max(axis=0) == 0
    assert silent.sum() == 4
    np.testing.assert_array_equal(silent, ~to_matrix(mask, weight.layout).any(axis=(1, 2)))


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv2d_transpose", "dense", *EINSUMS])
def test_columns_of_the_matrix_are_what_the_layer_reads(name: str) -> None:
    model, inputs = alone(name)
    weight = find_weights(model, "*", 1)[0][0]
    kernel = weight.variable.numpy()
    mask = select(kernel, Channels(), 0.5, layout=weight.layout)
    weight.variable.assign(kernel * mask)
    unread = ~to_matrix(mask, weight.layout).any(axis=(0, 1))
    assert unread.sum() == 2
    changed = inputs.copy()
    changed[..., unread] += 1
    np.testing.assert_array_equal(model(inputs), model(changed))
    changed[..., ~unread] += 1
    assert not np.array_equal(model(inputs), model(changed))


def test_layers_that_a_pattern_cannot_apply_to_are_skipped_with_its_reason() -> None:
    report = prune(every_kind(), KernelPatterns(keep=4), 0.7, None).report
    rows = {(row.layer, row.variable): row for row in report.layers}
    assert {layer for (layer, _), row in rows.items() if row.status == "pruned"} == {"conv2d", "transpose"}
    reason = rows["pointwise", "kernel"].reason
    assert "needs kernels of 5 to 62 positions. Received: kernels of 1." in reason
    assert rows["pointwise", "kernel"].pattern is None


def test_a_named_layer_must_suit_the_pattern() -> None:
    with pytest.raises(PruningError, match=r"layer 'pointwise': KernelPatterns.*kernels of 1\..*layer 'dense'.*Leave"):
        prune(every_kind(), KernelPatterns(keep=4), 0.7, ["conv2d", "pointwise", "dense"])
    # One of its kernels is enough.
    report = prune(every_kind(), KernelPatterns(keep=4), 0.7, "sep2d").report
    assert [(row.variable, row.status) for row in report.layers if row.layer == "sep2d"] == [
        ("depthwise_kernel", "pruned"),
        ("pointwise_kernel", "skipped"),
    ]


def test_nothing_suits_the_pattern() -> None:
    model = keras.Sequential([keras.Input((16,)), layers.Dense(16, name="hidden"), layers.Dense(1, name="head")])
    model.compile("sgd", "mse")
    callback = PruningCallback(KernelElements(keep=2), ConstantSparsity(), min_weights=1)
    with pytest.raises(PruningError, match=r"no layer to prune\. Received: head: last Dense.*hidden: KernelElements"):
        model.fit(np.ones((4, 16)), np.ones(4), verbose=0, callbacks=[callback])
    with pytest.raises(PruningError, match="no report before training"):
        _ = callback.report
