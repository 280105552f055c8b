# SPDX-License-Identifier: Apache-2.0
"""What digests tell apart, and what they do not."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tests.mapping.searching.models import data
from tfprune.mapping.judging.examples import batches_of
from tfprune.mapping.searching.fingerprints import data_digest, function_label, loss_label


class Judge:
    """Judges as an object and by a method."""

    def __call__(self, model: Any) -> float:
        return 1.0

    def by_method(self, model: Any) -> float:
        return 2.0


def _scaled(factor: Any, names: Any = frozenset({"first", "second", "third"})) -> Any:
    return lambda model: factor * (model in {"first", "second", "third"})


def _digest(given: Any, batch_size: int = 32, seed: int = 0) -> str:
    return data_digest(batches_of(given, "data", batch_size=batch_size, seed=seed))


def test_examples_are_told_apart_by_inputs_labels_and_weights_not_by_their_order() -> None:
    images, labels = data(64)
    known = _digest((images, labels))
    assert known == _digest((images[::-1], labels[::-1]), batch_size=7, seed=3)
    swapped = labels.copy()
    swapped[[0, 1]] = (labels[1] + 1) % 4, labels[0]
    others = [(images * 2, labels), (images, swapped), (images, labels, np.ones(64)), (images[1:], labels[1:])]
    named = [({"a": images, "b": images + 1}, labels), ({"a": images + 1, "b": images}, labels)]
    texts = [(np.array([*"ab"] * 32, object), labels), (np.array([*"ba"] * 32, object), labels)]
    assert len({known, *map(_digest, [*others, *named, *texts])}) == 9


def test_functions_are_told_apart_by_name_code_and_what_they_are_bound_to() -> None:
    functions = [
        _scaled(1.0),
        _scaled(2.0),
        _scaled(np.zeros(3)),
        _scaled(np.ones(3)),
        lambda model: 1.0,
        lambda model: 2.0,
        functools.partial(_scaled, 1.0),
        functools.partial(_scaled, 2.0),
        Judge(),
        Judge().by_method,
        np.sum,
        len,
    ]
    assert len(set(map(function_label, functions))) == len(functions)
    assert function_label(_scaled(1.0)) == function_label(_scaled(1.0))
    assert function_label(Judge()) == function_label(Judge())
    assert function_label(Judge()).startswith(f"{__name__}.Judge (code ")
    assert function_label(len) == "builtins.len"


def test_losses_are_told_apart_by_name_settings_and_code() -> None:
    losses = [
        "mse",
        ["mse", "mae"],
        {"first": "mse", "second": "mae"},
        keras.losses.SparseCategoricalCrossentropy(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        _scaled(1.0),
        None,
    ]
    assert len(set(map(loss_label, losses))) == len(losses)
    assert loss_label(keras.losses.Poisson()) == loss_label(keras.losses.Poisson())


def test_another_process_has_the_same_label() -> None:
    script = (
        "from tests.mapping.searching import test_fingerprints as found;print(found.function_label(found._scaled(1.0)))"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=Path(__file__).parents[3],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == function_label(_scaled(1.0))
