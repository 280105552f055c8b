# SPDX-License-Identifier: Apache-2.0
"""Patterns: validation, counts, least sparsity, round trips."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tfprune.errors import PatternError
from tfprune.sparsity import patterns
from tfprune.sparsity.patterns import Groups, Pattern, Unstructured

ALL = [Unstructured(), Groups(), Groups(2, 3, along="input"), Groups(8, 1, aligned=True)]


@pytest.mark.parametrize("pattern", ALL, ids=str)
def test_round_trips(pattern: Pattern) -> None:
    assert type(pattern).from_config(pattern.get_config()) == pattern
    assert patterns.deserialize(json.loads(json.dumps(patterns.serialize(pattern)))) == pattern


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": 0}, "`rows`"),
        ({"cols": 1.5}, "`cols`"),
        ({"rows": True}, "`rows`"),
        ({"along": "both"}, "'output' or 'input'"),
        ({"aligned": 1}, "True or False"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PatternError, match=message):
        Groups(**arguments)


def test_patterns_are_values() -> None:
    assert Groups(4) == Groups(rows=4, cols=1)
    assert len({Groups(4), Groups(4), Unstructured()}) == 2
    with pytest.raises(AttributeError):
        Groups(4).rows = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("pattern", "shape", "expected"),
    [
        (Unstructured(), (3, 10), 0.0),
        (Groups(4, aligned=True), (3, 10), 0.0),
        (Groups(4), (3, 8), 0.0),
        (Groups(4), (3, 10), 0.2),
        (Groups(4), (3, 3, 2, 6), 1 / 3),
        (Groups(1, 4, along="input"), (3, 10), 0.0),  # clipped to 3
        (Groups(1, 4, along="input"), (2, 2, 7, 5), 3 / 7),
        (Groups(4, 4), (5, 10), 0.2),
    ],
)
def test_min_sparsity(pattern: Pattern, shape: tuple[int, ...], expected: float) -> None:
    assert pattern.min_sparsity(shape) == pytest.approx(expected)
    assert pattern.reaches(0.0, shape)
    assert pattern.reaches(pattern.min_sparsity(shape), shape)


@pytest.mark.parametrize(
    ("pattern", "shape", "sparsity", "expected"),
    [
        (Unstructured(), (5, 5), 0.5, 13),  # 12.5 rounds up
        (Unstructured(), (2, 5), 0.85, 2),  # exactly 1.5, which floats put below
        (Groups(4), (1, 10), 0.8, 1),  # exactly 0.5
        (Groups(4), (1, 10), 0.81, 0),
        (Groups(4, 4), (3, 8), 0.5, 1),  # clipped to 4x3
    ],
)
def test_kept_cells(pattern: Pattern, shape: tuple[int, ...], sparsity: float, expected: int) -> None:
    assert pattern.kept_cells(sparsity, shape) == expected


@pytest.mark.parametrize(
    "data",
    [
        {"class_name": "Nothing", "config": {}},
        {"class_name": "Groups", "config": {"height": 3}},
        {"class_name": "Groups"},
        "Groups",
    ],
)
def test_what_cannot_be_deserialized(data: Any) -> None:
    with pytest.raises(PatternError):
        patterns.deserialize(data)


def test_unregistered_class_is_refused() -> None:
    class Mine(Unstructured):
        pass

    with pytest.raises(PatternError, match="not a registered pattern"):
        patterns.serialize(Mine())
    with pytest.raises(PatternError, match="already registered"):
        patterns.register(type("Groups", (Unstructured,), {}))
    with pytest.raises(PatternError, match="must fit"):
        Groups.from_config({"height": 3})
