# SPDX-License-Identifier: Apache-2.0
"""The aarch64 scripts of ``make bench`` run on something tiny."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.aarch64.conftest import CACHE, LIBRARY
from tests.benchmarks.conftest import Script, load, script  # noqa: F401  (fixtures)

pytestmark = pytest.mark.aarch64
PLACES = ("--root", CACHE / "root", "--library", LIBRARY)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_instructions_of_a_layer(script: Script, tmp_path: Path, precision: str) -> None:  # noqa: F811
    output = tmp_path / "counts.json"
    layer = ("--part", "layers", "--network", "mobilenet_v2", "--min-macs", "0", "--limit", "2")
    arguments = ("--sparsity", "0.9", "--precision", precision, "--output", output)
    script("arm64_instructions", *layer, *arguments, *PLACES)
    rows = [row for row in json.loads(output.read_text())["rows"].values() if row["encoding"]]
    assert rows
    # Layers of few channels: what int8 kernels pay to requantise, sparse or not, outweighs what they multiply.
    assert all(0 < row["ratio"] < (1 if precision == "float32" else 2) for row in rows)


def test_xnnpack_runs_its_sparse_mode(script: Script, tmp_path: Path) -> None:  # noqa: F811
    output = tmp_path / "counts.json"
    small = ("--part", "xnnpack", "--size", "64", "--pattern", "groups4-aligned")
    script("arm64_instructions", *small, "--sparsity", "0.5", "--sparsity", "0.9", *PLACES, "--output", output)
    half, most = json.loads(output.read_text())["rows"].values()
    # At 50 % zeros, less than the two thirds that XNNPACK asks for, its mode stays off.
    assert half["xnnpack by dense"] == pytest.approx(1, abs=0.03)
    assert most["xnnpack by dense"] < 0.6


def test_share_of_peak_of_the_inner_loops(script: Script, tmp_path: Path) -> None:  # noqa: F811
    output = tmp_path / "mca.json"
    script("mca", "--library", LIBRARY, "--function", "Sliding", "--output", output)
    rows = json.loads(output.read_text())["rows"].values()
    assert any(row["multiply-adds"] >= 16 for row in rows)
    assert all(0 < row[cpu]["share"] <= 1.01 for row in rows for cpu in ("cortex-a55", "cortex-a76", "cortex-x2"))
