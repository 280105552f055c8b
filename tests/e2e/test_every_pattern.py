# SPDX-License-Identifier: Apache-2.0
"""Every pattern, and every kind of layer, from training to the kernel that ran, through the public names."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

import tfprune as tp
from tests.converter.helpers import STEADY_COSTS, matrix, operators, packed_weights
from tfprune.formats import Encoding
from tfprune.keras.layers import find_weights
from tfprune.runtime.library import load_library
from tfprune.sparsity.layouts import to_matrix
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

layers = keras.layers
# Whether a layer is worth converting is another question.
ANY_SPEED = 1e-6


class Case(NamedTuple):
    """A pattern on a layer.

    Attributes:
        pattern: the pattern.
        sparsity: target; None: the pattern's own.
        layer: ``"conv3"``, ``"conv1"`` or ``"dense"``.
        encoding: the encoding meant for the pattern, with its group size, or how it begins.
    """

    pattern: Pattern
    sparsity: float | None
    layer: str
    encoding: str


CASES = [
    Case(Unstructured(), 0.8, "conv3", "row_band 1x1"),
    # Bands of rows that share a list of columns.
    Case(Groups(rows=4, aligned=True), 0.8, "conv3", "row_band 4x1"),
    Case(Groups(rows=4, aligned=True), 0.8, "dense", "row_band 4x1"),
    Case(Groups(rows=2, cols=4, aligned=True), 0.8, "conv1", "row_band 2x4"),
    # Groups that slide over the rows, or over the columns of a band.
    Case(Groups(rows=4), 0.8, "conv3", "sliding_row 4x1"),
    Case(Groups(rows=4), 0.8, "conv1", "sliding_row 4x1"),
    Case(Groups(rows=8), 0.8, "dense", "sliding_row 8x1"),
    Case(Groups(rows=1, cols=4, along="input"), 0.8, "conv3", "row_band 1x4"),
    Case(Groups(rows=4, cols=2, along="input"), 0.8, "conv3", "row_band 4x2"),
    # No encoding slides over rows with groups of several columns: each column has its own.
    Case(Groups(rows=4, cols=2), 0.8, "conv3", "sliding_row 4x1"),
    Case(Groups(rows=4, balanced=True, unit_rows=16), 0.8, "conv3", "sliding_row 4x1"),
    Case(Groups(rows=4, cols=2, aligned=True, balanced=True, unit_rows=8), 0.8, "conv1", "row_band 4x2"),
    Case(Groups(rows=4, cols=2, along="input", balanced=True, unit_rows=16), 0.8, "conv3", "row_band 4x2"),
    Case(Groups(rows=4, cols=2, along="both"), 0.8, "conv3", "sliding_row 4x1"),
    # Blocks are bands of their height.
    Case(BlockPunched(8, 4), 0.75, "conv3", "row_band 8x4"),
    Case(BlockPunched(8, 4), 0.75, "conv1", "row_band 8x4"),
    Case(BlockRowsColumns(16, 16), 0.75, "dense", "block_rows 16x1"),
    # For many pixels the zeros inside blocks cost more than taking rows and columns from anywhere.
    Case(BlockRowsColumns(16, 16), 0.75, "conv3", "block_rows 16x1"),
    Case(BlockRowsColumns(16, 16), 0.75, "conv1", "block_rows 16x1"),
    # One channel's kernels of one shape, in many filters.
    Case(KernelPatterns(keep=4, library=4), 0.75, "conv3", "block_columns 1x1"),
    # Different in every kernel: single weights.
    Case(KernelElements(keep=2, share="kernel"), None, "conv3", "row_band 1x1"),
    Case(NofM(1, 4), None, "conv3", "row_band 1x1"),
    # A kernel position of all filters, of some (a block), of a few neighbours (a band).
    Case(KernelElements(keep=2, share="channel"), None, "conv3", "row_band 16x1"),
    Case(KernelElements(keep=2, share="filter"), None, "conv3", "block_rows 16x1"),
    Case(KernelElements(keep=2, share="layer"), None, "conv3", "row_band 16x"),
    Case(KernelElements(keep=2, share=4), None, "conv3", "row_band 4x8"),
    Case(KernelElements(share="filter"), 0.8, "conv3", "block_rows 16x1"),
    Case(Filters(), 0.75, "conv3", "block_rows 16x1"),
    Case(Channels(), 0.75, "conv3", "row_band 16x1"),
]

LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "conv3": (lambda: layers.Conv2D(32, 3, padding="same", name="layer"), (6, 6, 32)),
    "conv1": (lambda: layers.Conv2D(64, 1, activation="relu", name="layer"), (6, 6, 64)),
    "dense": (lambda: layers.Dense(96, name="layer"), (96,)),
}

#: Other layers with a kernel of ours: the op they become.
WITH_KERNEL: dict[str, tuple[Any, tuple[int, ...], str]] = {
    "Conv1D": (lambda: layers.Conv1D(64, 3, padding="same", name="layer"), (12, 32), "TfpruneConv2D"),
    "Conv1D causal": (
        lambda: layers.Conv1D(64, 3, padding="causal", dilation_rate=2, name="layer"),
        (12, 32),
        "TfpruneConv2D",
    ),
    "SeparableConv1D": (lambda: layers.SeparableConv1D(64, 3, name="layer"), (12, 64), "TfpruneConv2D"),
    "SeparableConv2D": (lambda: layers.SeparableConv2D(64, 3, name="layer"), (6, 6, 64), "TfpruneConv2D"),
    "EinsumDense": (
        lambda: layers.EinsumDense("abc,cde->abde", (12, 8, 8), bias_axes="de", name="layer"),
        (12, 64),
        "TfpruneFullyConnected",
    ),
    "EinsumDense of heads": (
        lambda: layers.EinsumDense("abcd,cde->abe", (12, 64), activation="relu", name="layer"),
        (12, 8, 8),
        "TfpruneFullyConnected",
    ),
}

#: Layers over an expanded matrix, so small that they stay dense: pruned, and dense in the file.
TOO_SMALL: dict[str, tuple[Any, tuple[int, ...], str]] = {
    "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D(3, name="layer"), (8, 8, 32), "DEPTHWISE_CONV_2D"),
    "DepthwiseConv1D": (lambda: layers.DepthwiseConv1D(5, name="layer"), (12, 32), "DEPTHWISE_CONV_2D"),
    "Conv2DTranspose": (lambda: layers.Conv2DTranspose(4, 3, strides=2, name="layer"), (6, 6, 4), "TRANSPOSE_CONV"),
    "EinsumDense of blocks": (
        lambda: layers.EinsumDense("abc,bcd->abd", (2, 8), name="layer"),
        (2, 8),
        "BATCH_MATMUL",
    ),
}


class Outcome(NamedTuple):
    """What comes out at the end.

    Attributes:
        weight: the pruned kernel.
        converted: the conversion.
        answers: what the file answers.
        expected: what the Keras model answers.
    """

    weight: Any
    converted: Any
    answers: np.ndarray
    expected: np.ndarray


def whole_path(make: Any, shape: tuple[int, ...], pattern: Pattern, sparsity: float | None, filters: str) -> Outcome:
    """Two training steps with the callback, the file, its answers and those of the masked Keras model."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [keras.Input(shape), make(), layers.Flatten(), layers.Dense(3, kernel_initializer="glorot_normal", name="head")]
    )
    model.compile("adam", "mse", jit_compile=False)
    pruning = tp.PruningCallback(
        pattern, tp.schedules.ConstantSparsity(sparsity, frequency=1), filters=filters, min_weights=1
    )
    inputs = rng.standard_normal((8, *shape)).astype(np.float32)
    model.fit(inputs, rng.standard_normal((8, 3)), batch_size=4, verbose=0, callbacks=[pruning])
    assert pruning.report.step == 2
    assert pruning.report.layers[0].status == "pruned"
    converted = tp.convert(model, device=STEADY_COSTS, min_speedup=ANY_SPEED)
    answers = np.asarray(tp.Interpreter(converted.tflite).predict(inputs))
    return Outcome(find_weights(model, filters, 1)[0][0], converted, answers, model(inputs).numpy())


def assert_close(outcome: Outcome) -> None:
    scale = float(np.abs(outcome.expected).max())
    np.testing.assert_allclose(outcome.answers, outcome.expected, rtol=1e-4, atol=1e-5 * scale)


def custom_op(data: bytes) -> int:
    """The place of the file's one operator of ours."""
    found = [number for number, (graph, _, op) in enumerate(operators(data)) if graph.is_custom(op)]
    assert len(found) == 1
    return found[0]


def assert_packed(outcome: Outcome, encoding: str) -> None:
    """The one sparse operator holds the kernel bit by bit in an encoding, and its kernel ran."""
    verdicts = [layer for layer in outcome.converted.report.layers if layer.verdict == "sparse"]
    assert len(verdicts) == 1
    data = outcome.converted.tflite
    number = custom_op(data)
    header = packed_weights(data, number).header
    family = Encoding(header.encoding).name.lower()
    found = f"{family} {header.group_rows}x{header.group_cols}"
    assert found == verdicts[0].encoding
    assert found.startswith(encoding)
    kernel = outcome.weight.variable.numpy()
    expected = to_matrix(kernel, outcome.weight.layout).reshape(len(matrix(data, number)), -1)
    np.testing.assert_array_equal(matrix(data, number), expected)
    ran, _, arch = load_library().last_kernel.partition("/")
    # Tiles of a single pixel have a variant of their own.
    assert ran.removesuffix("_single") == family
    # Float kernels use neither VNNI nor the dot product.
    assert arch == load_library().detected_arch.split("_")[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.pattern} on {case.layer}")
def test_pattern(case: Case) -> None:
    make, shape = LAYERS[case.layer]
    outcome = whole_path(make, shape, case.pattern, case.sparsity, "layer")
    assert_packed(outcome, case.encoding)
    assert_close(outcome)
    assert len(outcome.converted.tflite) < len(outcome.converted.dense)


def test_kernel_elements_with_their_penalty() -> None:
    make, shape = LAYERS["conv3"]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), make(), layers.Flatten(), layers.Dense(3, name="head")])
    model.compile("adam", "mse", jit_compile=False)
    pruning = tp.PruningCallback(
        KernelElements(keep=2, share="filter"),
        tp.schedules.ConstantSparsity(begin_step=4),
        scores="plane_share",
        penalty=tp.penalties.PriorMaskPenalty(tp.schedules.StrengthRamp(1e4, end_step=2)),
    )
    seen: list[np.ndarray] = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(model.get_weights()[0]))
    inputs = np.random.default_rng(0).standard_normal((24, *shape)).astype(np.float32)
    model.fit(inputs, np.ones((24, 3)), batch_size=4, verbose=0, callbacks=[pruning, watch])
    gone = seen[-1] == 0
    assert np.abs(seen[3][gone]).sum() < 0.05 * np.abs(seen[3]).sum()
    converted = tp.convert(model, device=STEADY_COSTS, min_speedup=ANY_SPEED)
    answers = np.asarray(tp.Interpreter(converted.tflite).predict(inputs))
    outcome = Outcome(find_weights(model, "layer", 1)[0][0], converted, answers, model(inputs).numpy())
    assert_packed(outcome, "block_rows 16x1")
    assert_close(outcome)


def test_every_row_of_the_design_is_there() -> None:
    assert {type(case.pattern).__name__ for case in CASES} == {
        name for name in tp.patterns.__all__ if name[0].isupper() and name != "Pattern"
    }
    groups = [case.pattern for case in CASES if isinstance(case.pattern, Groups)]
    assert {(one.aligned, one.balanced) for one in groups} == {(a, b) for a in (True, False) for b in (True, False)}
    assert {one.along for one in groups} == {"output", "input", "both"}
    assert {one.rows > 1 and one.cols > 1 for one in groups} == {True, False}
    elements = {case.pattern.share for case in CASES if isinstance(case.pattern, KernelElements) and case.pattern.keep}
    assert elements == {"kernel", "channel", "filter", "layer", 4}


@pytest.mark.parametrize("pattern", [Groups(rows=4), NofM(2, 4)], ids=str)
@pytest.mark.parametrize("kind", WITH_KERNEL)
def test_layer_with_a_kernel(kind: str, pattern: Pattern) -> None:
    make, shape, name = WITH_KERNEL[kind]
    filters = "layer/pointwise_kernel" if kind.startswith("Separable") else "layer"
    outcome = whole_path(make, shape, pattern, None if isinstance(pattern, NofM) else 0.8, filters)
    # At half of the weights it is the cost table that prefers one encoding or another.
    assert_packed(outcome, "sliding_row 4x1" if isinstance(pattern, Groups) else "")
    graph, _, op = operators(outcome.converted.tflite)[custom_op(outcome.converted.tflite)]
    assert graph.op_name(op) == name
    assert_close(outcome)


@pytest.mark.parametrize("kind", TOO_SMALL)
def test_layer_that_is_too_small(kind: str) -> None:
    make, shape, name = TOO_SMALL[kind]
    outcome = whole_path(make, shape, Groups(rows=4), 0.75, "layer")
    found = [layer for layer in outcome.converted.report.layers if layer.op == name]
    assert [layer.verdict for layer in found] == ["dense"]
    assert found[0].reason_code in ("not_modelled", "not_smaller", "file_not_smaller", "too_slow")
    assert outcome.converted.tflite == outcome.converted.dense
    assert (outcome.weight.variable.numpy() == 0).mean() == pytest.approx(0.75, abs=0.01)
    assert_close(outcome)
