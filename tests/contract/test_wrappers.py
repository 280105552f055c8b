# SPDX-License-Identifier: Apache-2.0
"""Wrapper x pattern x layer x {save, load, load in a new process, strip}: the outputs stay equal."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.contract.wrapped_layers import KINDS, LAYERS, WITH_POSITIONS, build, example, outputs
from tfprune import Pruned, Pruner, Rule, strip, wrap
from tfprune.errors import PruningError
from tfprune.keras.layers import to_numpy
from tfprune.sparsity.patterns import Groups, KernelElements, Pattern
from tfprune.sparsity.schedules import ConstantSparsity

ROOT = Path(__file__).parents[2]
PATTERNS: dict[str, Pattern] = {"groups": Groups(rows=2), "elements": KernelElements(keep=2, share="filter")}
CASES = [
    (layer, pattern)
    for layer, pattern in itertools.product(LAYERS, PATTERNS)
    if pattern == "groups" or layer in WITH_POSITIONS
]
REFUSED = [(layer, "elements") for layer in LAYERS if layer not in WITH_POSITIONS]
# PyTorch adds up equal numbers in another order where they lie elsewhere in memory.
TOLERANCE = 1e-6 if keras.backend.backend() == "torch" else 0.0


@dataclass(frozen=True)
class Case:
    """A model on its way.

    Attributes:
        dense: as it was built.
        wrapped: with wrappers, pruned.
        stripped: without them.
        x: an input.
        y: what the wrapped model makes of it.
    """

    dense: Any
    wrapped: Any
    stripped: Any
    x: Any
    y: Any


def rule(pattern: str) -> Rule:
    """Prunes every kernel but the head's."""
    cells = PATTERNS[pattern]
    sparsity = 0.5 if isinstance(cells, Groups) else None
    return Rule(
        lambda layer: layer.name != "head", cells, sparsity, ConstantSparsity(sparsity, frequency=1), min_weights=1
    )


def make(layer: str, pattern: str) -> Case:
    dense = build(layer)
    wrapped = wrap(dense, rule(pattern))
    wrapped.compile("sgd", "mse")
    pruner = Pruner(wrapped, rule(pattern))
    pruner.start()
    pruner.finalize()
    x = example(layer)
    return Case(dense, wrapped, strip(wrapped), x, outputs(wrapped, x))


def zeros(model: Any) -> int:
    return sum(int(np.sum(weight.numpy() == 0)) for weight in model.get_layer("wrapped").trainable_weights)


@pytest.fixture(scope="module")
def cases() -> dict[tuple[str, str], Case]:
    keras.utils.set_random_seed(3)
    return {case: make(*case) for case in CASES}


@pytest.fixture(scope="module")
def differences(
    cases: dict[tuple[str, str], Case], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], float]:
    """Largest difference of each file's outputs in a new process, by kind and case."""
    folder = tmp_path_factory.mktemp("files")
    for kind in KINDS:
        (folder / kind).mkdir()
        for name, case in cases.items():
            path = folder / kind / "-".join(name)
            getattr(case, kind).save(path.with_suffix(".keras"))
            np.savez(path.with_suffix(".npz"), x=case.x, y=case.y)
    command = [sys.executable, "-W", "error::UserWarning", "-m", "tests.contract.wrapped_layers", str(folder)]
    process = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    rows = [line.split(",") for line in process.stdout.splitlines()]
    return {(kind, name): float(difference) for kind, name, difference in rows}


@pytest.mark.backends
@pytest.mark.parametrize(("layer", "pattern"), CASES)
def test_a_wrapper_computes_with_masked_kernels_and_keeps_them_dense(
    cases: dict[tuple[str, str], Case], layer: str, pattern: str
) -> None:
    case = cases[layer, pattern]
    assert [each.name for each in case.wrapped.layers] == [each.name for each in case.dense.layers]
    wrapper = case.wrapped.get_layer("wrapped")
    assert isinstance(wrapper, Pruned)
    values = [to_numpy(kernel) for kernel in case.dense.get_layer("wrapped").weights]
    for kernel, mask in wrapper.masked_kernels:
        assert any(np.array_equal(to_numpy(kernel), value) for value in values)
        assert not to_numpy(mask).all()
    assert np.abs(outputs(case.dense, case.x) - case.y).max() > 1e-3


@pytest.mark.backends
@pytest.mark.parametrize(("layer", "pattern"), CASES)
def test_stripped_models_are_plain_with_equal_outputs(
    cases: dict[tuple[str, str], Case], layer: str, pattern: str
) -> None:
    case = cases[layer, pattern]
    np.testing.assert_allclose(outputs(case.stripped, case.x), case.y, rtol=0, atol=TOLERANCE)
    assert [type(each) for each in case.stripped.layers] == [type(each) for each in case.dense.layers]
    assert [each.shape for each in case.stripped.weights] == [each.shape for each in case.dense.weights]
    removed = sum(np.sum(~mask.numpy()) for mask in case.wrapped.get_layer("wrapped").masks.values())
    assert zeros(case.stripped) - zeros(case.dense) == removed


@pytest.mark.backends
@pytest.mark.parametrize(("layer", "pattern"), CASES)
def test_a_config_rebuilds_the_wrapper(cases: dict[tuple[str, str], Case], layer: str, pattern: str) -> None:
    wrapper = cases[layer, pattern].wrapped.get_layer("wrapped")
    again = Pruned.from_config(wrapper.get_config())
    assert again.get_config() == wrapper.get_config()
    assert set(wrapper.masks) == set(wrapper.kernels)
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(wrapper))
    assert restored.get_config() == wrapper.get_config()
    assert {name: mask.shape for name, mask in restored.masks.items()} == {
        name: mask.shape for name, mask in wrapper.masks.items()
    }


@pytest.mark.backends
@pytest.mark.parametrize(("layer", "pattern"), CASES)
def test_files_load_in_a_new_process(differences: dict[tuple[str, str], float], layer: str, pattern: str) -> None:
    assert max(differences[kind, f"{layer}-{pattern}"] for kind in KINDS) <= TOLERANCE


@pytest.mark.parametrize(("layer", "pattern"), REFUSED)
def test_what_a_pattern_cannot_apply_to_is_refused(layer: str, pattern: str) -> None:
    with pytest.raises(PruningError, match="needs kernels of"):
        wrap(build(layer), rule(pattern))
