# SPDX-License-Identifier: Apache-2.0
"""Operators over expanded matrices: converted files on the delegate against the dense ones on stock LiteRT."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.converter.expand.operators import (
    NONE,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    SAME,
    TANH,
    VALID,
    Dense,
    Maker,
)
from tests.converter.helpers import STEADY_COSTS, convert, names
from tests.models.one_op import Array, run_stock
from tfprune.converter import passes
from tfprune.converter.analysis import analyse
from tfprune.converter.api import inspect
from tfprune.converter.capability import Refused
from tfprune.converter.graph import Graph
from tfprune.converter.plan import Plan
from tfprune.converter.verify import DYNAMIC_RTOL, verify
from tfprune.costs import load_table
from tfprune.runtime.interpreter import Interpreter

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
PRECISIONS = ["float32", "int8"]


def forced(data: bytes) -> bytes:
    """The file with its operator made sparse whatever that costs; tiny layers never pay."""
    graph = Graph(data)
    (finding,) = analyse(graph, load_table(STEADY_COSTS), 1e-6)
    assert finding.known is not None, finding.outcome
    plan = finding.outcome
    if not isinstance(plan, Plan):
        assert plan.code == "not_smaller", plan.text
        finding.outcome = min(finding.known.candidates, key=lambda each: each.packed_bytes)
    passes.run(graph, [finding])
    return graph.to_bytes()


def predict(data: bytes, x: Array) -> Array:
    y = Interpreter(data).predict(x)
    assert isinstance(y, np.ndarray)
    return y


def check(dense: Dense, expected: list[str] | None = None, *, again: bool = True) -> None:
    """Equal outputs of the sparse file and, with ``again``, of the one made dense again; integers to the bit."""
    sparse = forced(dense.data)
    if expected is not None:
        assert names(sparse) == expected
    y = run_stock(dense.data, dense.x)
    assert not np.all(y == y.reshape(-1)[0]), "the operator must show something"
    outputs = [predict(sparse, dense.x)]
    outputs += [run_stock(convert(sparse, target="dense").tflite, dense.x)] if again else []
    for found in outputs:
        assert (found.shape, found.dtype) == (y.shape, y.dtype)
        if np.issubdtype(y.dtype, np.integer):
            np.testing.assert_array_equal(found, y)
        else:
            np.testing.assert_allclose(found, y, atol=3e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("groups", [2, 4])
@pytest.mark.parametrize(
    "options",
    [
        {"activation": RELU},
        {"stride": (2, 1), "dilation": (1, 2), "padding": VALID},
        {"stride": (2, 2), "activation": RELU6},
        {"activation": RELU_N1_TO_1},
    ],
)
def test_grouped(precision: str, groups: int, options: dict[str, object]) -> None:
    check(Maker(precision, groups).conv_2d((2, 7, 8, 16), 24, (3, 2), groups, **options), ["TfpruneConv2D"])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize(
    "options", [{}, {"stride": (2, 2), "activation": RELU}, {"dilation": (2, 1), "padding": VALID}]
)
def test_depthwise(precision: str, multiplier: int, options: dict[str, object]) -> None:
    check(Maker(precision, multiplier).depthwise((2, 7, 8, 12), multiplier, (3, 3), **options), ["TfpruneConv2D"])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (2, 3), (1, 2)])
@pytest.mark.parametrize(("kernel", "more"), [((3, 3), 0), ((3, 3), 9), ((4, 3), 9), ((5, 4), 1)])
def test_transposed(precision: str, padding: int, stride: tuple[int, int], kernel: tuple[int, int], more: int) -> None:
    maker = Maker(precision, 7)
    check(maker.transpose_conv((2, 4, 5, 8), 6, kernel, stride, padding=padding, more=more, activation=RELU))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_ops_round_transposed_convolutions(precision: str) -> None:
    maker = Maker(precision)
    doubled = maker.transpose_conv((1, 4, 5, 8), 6, (3, 3), (2, 2), more=1, bias=False)
    check(doubled, ["TfpruneConv2D", "DEPTH_TO_SPACE"])
    odd = maker.transpose_conv((1, 4, 5, 8), 6, (3, 3), (2, 2), padding=VALID)
    check(odd, ["PAD", "TfpruneConv2D", "DEPTH_TO_SPACE", "SLICE"])
    uneven = maker.transpose_conv((1, 4, 5, 8), 6, (2, 3), (2, 3), padding=VALID)
    check(uneven, ["TfpruneConv2D", "RESHAPE", "TRANSPOSE", "RESHAPE"])
    check(maker.transpose_conv((1, 4, 5, 8), 6, (3, 3), (1, 1)), ["TfpruneConv2D"])


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        ((3, 3, 3), {"activation": RELU}),
        ((3, 2, 1), {"stride": (2, 1, 2), "bias": False}),
        ((2, 3, 2), {"dilation": (3, 1, 2), "padding": VALID}),
        ((1, 1, 1), {"stride": (2, 2, 2)}),
        ((1, 3, 3), {}),
    ],
)
def test_volume(kernel: tuple[int, int, int], options: dict[str, object]) -> None:
    check(Maker(seed=3).conv_3d((2, 6, 7, 5, 4), 8, kernel, **options))


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize(
    ("kernel", "stride", "more"),
    [
        ((3, 3, 3), (2, 2, 2), 1),
        ((3, 2, 4), (2, 1, 3), 0),
        ((1, 3, 3), (1, 2, 2), 9),
        ((2, 2, 2), (3, 3, 3), 9),
        ((2, 1, 1), (2, 1, 1), 0),
    ],
)
def test_transposed_volume(padding: int, kernel: tuple[int, int, int], stride: tuple[int, int, int], more: int) -> None:
    maker = Maker(seed=more, kept=0.5)
    check(maker.conv_3d_transpose((2, 3, 4, 5, 6), 4, kernel, stride, padding=padding, more=more, activation=RELU))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("batch", "batch_rank"), [((), 0), ((2,), 0), ((3,), 1), ((2, 3), 1), ((2, 3), 2)])
@pytest.mark.parametrize(
    "options",
    [
        {"left": left, "constant_transposed": stored, "activation_transposed": moved}
        for left, stored, moved in itertools.product([False, True], repeat=3)
    ],
)
def test_product(precision: str, batch: tuple[int, ...], batch_rank: int, options: dict[str, bool]) -> None:
    dense = Maker(precision, batch_rank).batch_matmul(batch, batch_rank, 4, 8, 12, **options)
    # XNNPACK takes int8 constants on the right only: what the left one becomes rounds otherwise when dense again.
    check(dense, again=precision != "int8" or not options["left"])


def test_a_product_with_one_matrix_needs_no_other_op() -> None:
    check(Maker().batch_matmul((2,), 0, 5, 16, 8), ["TfpruneFullyConnected"])


@pytest.mark.parametrize(
    "make",
    [
        lambda maker: maker.transpose_conv((1, 4, 5, 8), 6, (4, 3), (2, 3), padding=VALID, more=1),
        lambda maker: maker.conv_3d((1, 6, 7, 5, 4), 8, (3, 3, 3)),
        lambda maker: maker.conv_3d_transpose((1, 3, 4, 5, 4), 8, (3, 3, 3), (2, 2, 2), bias=False),
        lambda maker: maker.conv_2d((1, 6, 7, 16), 8, (3, 3), 2),
        lambda maker: maker.batch_matmul((1, 3), 1, 4, 8, 12),
    ],
)
def test_any_batch(make: Callable[[Maker], Dense]) -> None:
    dense = make(Maker(batch=True))
    sparse = Interpreter(forced(dense.data))
    for batch in (3, 1, 5):
        x = np.concatenate([np.roll(dense.x, i, axis=-1) for i in range(batch)])
        y = np.concatenate([run_stock(dense.data, x[i : i + 1]) for i in range(batch)])
        np.testing.assert_allclose(sparse.predict(x), y, atol=3e-5)


@pytest.mark.parametrize(
    ("make", "tolerance"),
    [
        (lambda maker: maker.conv_2d((2, 7, 8, 24), 36, (3, 3), 3), 1e-6),
        (lambda maker: maker.depthwise((2, 7, 8, 24), 1, (3, 3)), 1e-6),
        (lambda maker: maker.transpose_conv((2, 5, 6, 16), 8, (3, 3), (2, 2)), 1e-6),
        (lambda maker: maker.batch_matmul((2,), 0, 6, 16, 12), 1e-6),
        # One range for each image in stock LiteRT, for each pixel here; each matrix there, all matrices here.
        (lambda maker: maker.conv_2d((2, 7, 8, 24), 36, (1, 1), 3), 2e-2),
        (lambda maker: maker.transpose_conv((2, 5, 6, 16), 8, (2, 2), (2, 2)), 2e-2),
        (lambda maker: maker.batch_matmul((3,), 1, 6, 16, 12), 2e-2),
    ],
)
def test_dynamic_range(make: Callable[[Maker], Dense], tolerance: float) -> None:
    dense = make(Maker("dynamic"))
    y = run_stock(dense.data, dense.x)
    np.testing.assert_allclose(predict(forced(dense.data), dense.x), y, atol=tolerance * np.abs(y).max())


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda maker: maker.transpose_conv((2, 5, 6, 16), 8, (3, 3), (2, 2)), "TfpruneConv2D"),
        (lambda maker: maker.transpose_conv((2, 5, 6, 16), 8, (2, 2), (2, 2)), "TfpruneConv2D"),
        (lambda maker: maker.batch_matmul((3,), 1, 6, 16, 12), "TfpruneFullyConnected"),
    ],
)
def test_verify_knows_dynamic_range_wherever_the_activation_stands(make: Callable[[Maker], Dense], name: str) -> None:
    dense = make(Maker("dynamic")).data
    sparse = forced(dense)
    assert name in names(sparse)
    report = verify(dense, sparse)
    assert report.rtol == DYNAMIC_RTOL
    assert report.ok


@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "dynamic", "int16"])
def test_precision_is_the_same_whoever_names_it(precision: str) -> None:
    data = Maker(precision).transpose_conv((1, 5, 6, 16), 8, (3, 3), (2, 2)).data
    assert [layer.precision for layer in inspect(data).layers] == [precision]
    assert [layer.precision for layer in inspect(data, target="stock").layers] == [precision]


def test_grouped_and_depthwise_weights_come_back_as_they_were() -> None:
    maker = Maker("int8")
    for dense in (maker.conv_2d((1, 6, 7, 16), 8, (3, 3), 2), maker.depthwise((1, 6, 7, 8), 2, (3, 3))):
        before, after = Graph(dense.data), Graph(convert(forced(dense.data), target="dense").tflite)
        assert names(dense.data) == [after.op_name(op) for _, _, op in after.operators()]
        old, new = (graph.input_tensor(0, graph.model.subgraphs[0].operators[0], 1) for graph in (before, after))
        assert before.shape(old) == after.shape(new)
        np.testing.assert_array_equal(before.constant(old, np.int8), after.constant(new, np.int8))
        np.testing.assert_array_equal(old.quantization.scale, new.quantization.scale)
        assert old.quantization.quantizedDimension == new.quantization.quantizedDimension


def test_litert_computes_nothing_for_a_fused_tanh_and_neither_do_we() -> None:
    maker = Maker()
    for dense in (
        maker.conv_2d((1, 6, 7, 16), 8, (3, 3), 1, activation=TANH),
        maker.depthwise((1, 6, 7, 8), 2, (3, 3), activation=TANH),
        maker.transpose_conv((1, 4, 5, 8), 6, (3, 3), (2, 2), activation=TANH),
        maker.conv_3d((1, 6, 7, 5, 4), 8, (3, 3, 3), activation=TANH),
    ):
        check(dense)
        assert np.abs(run_stock(dense.data, dense.x)).max() > 1


def equal(dense: Dense) -> None:
    """Equal outputs, or a refusal for a good reason; for random sizes, of which some are odd."""
    (finding,) = analyse(Graph(dense.data), load_table(STEADY_COSTS), 1e-6)
    if isinstance(finding.outcome, Refused) and finding.outcome.code == "no_zeros":
        return
    y, found = run_stock(dense.data, dense.x), predict(forced(dense.data), dense.x)
    assert found.shape == y.shape
    if y.dtype == np.int8:
        np.testing.assert_array_equal(found, y)
    else:
        np.testing.assert_allclose(found, y, atol=3e-5)


SEEDS = st.integers(0, 2**32 - 1)
ANY_PADDING = st.sampled_from([SAME, VALID])
ANY_ACTIVATION = st.sampled_from([NONE, RELU, RELU6, RELU_N1_TO_1])


def sizes(most: int, axes: int = 2) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(1, most)] * axes)


@given(SEEDS, st.sampled_from(PRECISIONS), sizes(7), sizes(6), sizes(4), ANY_PADDING, st.integers(0, 5), ANY_ACTIVATION)
@settings(max_examples=20, deadline=None)
def test_transposed_convolutions_of_any_sizes(
    seed: int,
    precision: str,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: int,
    more: int,
    activation: int,
) -> None:
    maker = Maker(precision, seed, kept=0.6)
    dense = maker.transpose_conv((2, *size, 4), 4, kernel, stride, padding=padding, more=more, activation=activation)
    equal(dense)


@given(
    SEEDS,
    st.sampled_from(PRECISIONS),
    st.sampled_from([(1, 3), (2, 4), (4, 8), (5, 5)]),
    sizes(7),
    sizes(4),
    sizes(3),
    sizes(3),
    ANY_PADDING,
    ANY_ACTIVATION,
)
@settings(max_examples=20, deadline=None)
def test_grouped_and_depthwise_convolutions_of_any_sizes(
    seed: int,
    precision: str,
    groups: tuple[int, int],
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: int,
    activation: int,
) -> None:
    if padding == VALID:
        size = tuple(n + (k - 1) * d for n, k, d in zip(size, kernel, dilation, strict=True))
    maker = Maker(precision, seed, kept=0.5)
    options = {"stride": stride, "dilation": dilation, "padding": padding, "activation": activation}
    count, rows = groups
    equal(maker.conv_2d((2, *size, 2 * count), 2 * rows, kernel, count, **options))
    equal(maker.depthwise((2, *size, count), rows // count, kernel, **options))


@given(SEEDS, sizes(5, 3), sizes(3, 3), sizes(3, 3), sizes(2, 3), ANY_PADDING, st.integers(0, 3), ANY_ACTIVATION)
@settings(max_examples=20, deadline=None)
def test_volumes_of_any_sizes(
    seed: int,
    size: tuple[int, ...],
    kernel: tuple[int, int, int],
    stride: tuple[int, int, int],
    dilation: tuple[int, int, int],
    padding: int,
    more: int,
    activation: int,
) -> None:
    maker = Maker(seed=seed, kept=0.5)
    large = size if padding == SAME else [n + (k - 1) * d for n, k, d in zip(size, kernel, dilation, strict=True)]
    options = {"padding": padding, "activation": activation}
    equal(maker.conv_3d((2, *large, 3), 4, kernel, stride=stride, dilation=dilation, **options))
    equal(maker.conv_3d_transpose((2, *size, 3), 4, kernel, stride, more=more, **options))
