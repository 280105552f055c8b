# SPDX-License-Identifier: Apache-2.0
"""The table over real models: zeros are put in as asked, and what a conversion gives or why it fails is a row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.converter.helpers import matrix
from tests.models import conv_model

Load = Callable[[str], ModuleType]


def dense_file() -> bytes:
    weights = np.random.default_rng(0).standard_normal((64, 3, 3, 32)).astype(np.float32)
    return conv_model(weights, np.zeros(64, np.float32))


@pytest.mark.parametrize("sparsity", [0.5, 0.9])
def test_zeros_come_in_groups_of_output_channels(load: Load, sparsity: float) -> None:
    real_models = load("real_models")
    kept = matrix(real_models.with_zeros(dense_file(), sparsity)) != 0
    groups = kept.reshape(-1, real_models.ROWS, kept.shape[1])
    assert (groups == groups[:, :1]).all()
    assert kept.mean() == pytest.approx(1 - sparsity, abs=0.01)


def test_a_model_is_a_row(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "dense.tflite"
    path.write_bytes(load("real_models").with_zeros(dense_file(), 0.9))
    row = load("conversion_models").measure(path)
    assert (row["outputs"], row["layers"]) == ("equal", {"sparse": 1})
    assert row["relative error"] < 1e-4
    assert row["sparse by dense"] < 0.3


def test_a_file_without_zeros_comes_back(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "dense.tflite"
    path.write_bytes(dense_file())
    row = load("conversion_models").measure(path)
    assert (row["outputs"], row["layers"], row["sparse by dense"]) == ("same file", {"no_zeros": 1}, 1)


def test_a_failure_is_a_row(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(dense_file()[:-100])
    assert "ModelError" in load("conversion_models").measure(path)["failure"]


def test_every_application_is_one_of_keras(load: Load) -> None:
    keras = pytest.importorskip("keras")
    assert all(callable(getattr(keras.applications, name)) for name in load("real_models").APPLICATIONS)
