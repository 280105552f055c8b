# SPDX-License-Identifier: Apache-2.0
"""Representative data in the forms that people have, and what is said about data that fits no input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfprune.converter.examples import ModelInput, examples
from tfprune.errors import ConversionError

IMAGES = np.random.default_rng(0).standard_normal((6, 4, 5)).astype(np.float32)
IMAGE = ModelInput("x", (4, 5), "float32")
ZETA, ALPHA = ModelInput("zeta", (12,), "float32"), ModelInput("alpha", (4,), "float32")
A, B = np.arange(36.0).reshape(3, 12), np.arange(12.0).reshape(3, 4)


def lists(examples: Any) -> Any:
    """As the representative datasets of TFLite's own guide."""
    return lambda: ([example[np.newaxis]] for example in examples)


FORMS: dict[str, Any] = {
    "batches": lambda x: [x[:4], x[4:]],
    "pairs": lambda x: [(x, np.zeros(6))],
    "dict": lambda x: {"x": x},
    "float64": lambda x: x.astype(np.float64),
    "nested lists": lambda x: x.tolist(),
    "examples": list,
    "one example after the other": lambda x: ((example, 0) for example in x),
    "function": lists,
    "tensor": lambda x: tensorflow().constant(x),
    "dataset": lambda x: tensorflow().data.Dataset.from_tensor_slices(x),
    "batched dataset": lambda x: tensorflow().data.Dataset.from_tensor_slices((x, np.zeros(6))).batch(4),
}


def tensorflow() -> Any:
    return pytest.importorskip("tensorflow")


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
@pytest.mark.parametrize("form", FORMS)
def test_one_input(form: str) -> None:
    fed = list(examples(FORMS[form](IMAGES), [IMAGE]))
    assert all(isinstance(feed, list) and len(feed) == 1 and feed[0].dtype == np.float32 for feed in fed)
    np.testing.assert_array_equal([feed[0] for feed in fed], IMAGES[:, np.newaxis])  # type: ignore[index]


@pytest.mark.parametrize(
    "data",
    [
        {"zeta": A, "alpha": B},
        {"alpha": B, "zeta": A},
        [A, B],
        (A, B),
        [[A, B]],
        [(A, B)],
        [([A, B], np.zeros(3))],
        [({"zeta": A, "alpha": B}, np.zeros(3))],
        [{"zeta": A[0], "alpha": B[0]}, {"zeta": A[1:], "alpha": B[1:]}],
        lambda: ([a, b] for a, b in zip(A, B, strict=True)),
    ],
)
def test_several_inputs(data: Any) -> None:
    fed = list(examples(data, [ZETA, ALPHA]))
    assert [list(feed) for feed in fed] == [["zeta", "alpha"]] * 3
    for name, expected in (("zeta", A), ("alpha", B)):
        np.testing.assert_array_equal([feed[name] for feed in fed], expected[:, np.newaxis])  # type: ignore[call-overload]


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float16, bool])
def test_numbers_become_floats(kind: Any) -> None:
    whole = np.abs(100 * IMAGES).astype(kind)
    fed = [feed[0] for feed in examples(whole, [IMAGE])]  # type: ignore[index]
    assert {array.dtype for array in fed} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(fed, whole[:, np.newaxis].astype(np.float32))


def test_inputs_of_whole_numbers_take_only_what_they_can_hold() -> None:
    known, words = ModelInput("words", (4,), "int32"), np.arange(8).reshape(2, 4)
    for data in (words, words.astype(np.float64)):
        fed = [feed[0] for feed in examples(data, [known])]  # type: ignore[index]
        assert fed[0].dtype == np.int32
        np.testing.assert_array_equal(fed, words[:, np.newaxis])
    for wrong, shown in ((words + 0.5, "0.5"), (words + 2**40, str(2**40))):
        with pytest.raises(ConversionError, match=rf"'words': the input is of type int32, which cannot hold .*{shown}"):
            list(examples(wrong, [known]))


def test_open_sizes_and_ranks_take_any() -> None:
    data = [np.ones((4, 3)), np.ones((9, 3)), np.ones((2, 7, 3))]
    shapes = [feed[0].shape for feed in examples(data, [ModelInput("x", (None, 3), "float32")])]  # type: ignore[index]
    assert shapes == [(1, 4, 3), (1, 9, 3), (1, 7, 3), (1, 7, 3)]
    assert len(list(examples(np.ones((5, 2)), [ModelInput("x", None, "float32")]))) == 5


def test_text_is_fed_as_it_is() -> None:
    fed = list(examples(np.array([[b"one"], [b"two"]]), [ModelInput("x", (1,), "string")]))
    assert [feed[0].tolist() for feed in fed] == [[[b"one"]], [[b"two"]]]  # type: ignore[index]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "at least one example, got none"),
        (IMAGES[:0], "at least one example"),
        (np.float32(3), r"got shape \(\) where the input takes \(4, 5\)"),
        (np.ones((3, 5)), r"got shape \(3, 5\) where the input takes \(4, 5\); give .*\(examples, 4, 5\), whose first"),
        (np.ones((3, 5, 4)), r"got examples of shape \(5, 4\) where the input takes \(4, 5\)"),
        (IMAGES * np.nan, "must be finite, got 120 NaN or infinite value"),
        (IMAGES.astype(np.float64) * 1e300, "float32, which cannot hold"),
        (IMAGES.astype(complex), "must be numbers for an input of type float32, got type complex64|complex128"),
        ("x.npy", "must be numbers"),
        ([[[1.0], [1.0, 2.0]]], "inhomogeneous shape"),
        ({"y": IMAGES}, "'x', got 'y'; give an array"),
    ],
)
def test_data_that_does_not_fit(data: Any, message: str) -> None:
    with pytest.raises(ConversionError, match=rf"representative_data.*{message}"):
        list(examples(data, [IMAGE]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (A, r"got one array; give a dict .*or lists \[zeta, alpha\]"),
        ([B, A], r"'zeta': got examples of shape \(4,\) where the input takes \(12,\)"),
        ([A, B[:2]], "the same number of examples"),
        ([[A, B, B]], r"got 3 array\(s\)"),
        ({"zeta": A}, "'alpha', got 'zeta'"),
    ],
)
def test_several_inputs_that_do_not_fit(data: Any, message: str) -> None:
    with pytest.raises(ConversionError, match=rf"representative_data.*{message}"):
        list(examples(data, [ZETA, ALPHA]))
