# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/conversion.md are those of the committed results, and say what a row says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results/conversion_models.json"


def row(**fields: Any) -> dict[str, Any]:
    return {
        "model": "Net",
        "layers": {"sparse": 3, "too_slow": 1, "no_zeros": 9},
        "precisions": {"float32": 13},
        "bytes": 10 * 2**20,
        "sparse by dense": 0.25,
        "processor seconds": 1.25,
        "peak MB": 25.0,
        "outputs": "equal",
        "relative error": 2e-6,
        **fields,
    }


def test_the_documents_tables_are_those_of_the_results(load: Callable[[str], ModuleType]) -> None:
    text = (ROOT / "docs/conversion.md").read_text()
    tables = load("conversion_tables").tables(RESULTS)
    assert set(tables) == {"applications", "packages"}
    for name, table in tables.items():
        assert f"<!-- table: {name} -->\n\n{table}\n" in text


def test_no_real_model_failed() -> None:
    rows = json.loads(RESULTS.read_text())["rows"]
    assert len(rows) > 100
    bad = {key for key, found in rows.items() if "failure" in found or found["outputs"] == "DIFFERENT"}
    assert bad == set()


def test_a_network_is_a_line(load: Callable[[str], ModuleType]) -> None:
    rows = [
        row(precision="float32", sparsity=0.5),
        row(precision="float32", sparsity=0.9, **{"sparse by dense": 0.1}),
        {"model": "Net", "precision": "int8", "sparsity": 0.5, "failure": "exit 1: no"},
    ]
    line = load("conversion_tables").applications(rows).splitlines()[-1]
    assert line == "| Net | 10 | 25 / - / 10 | - / - / - | **failed** / - / - | 75 % | 2e-06 | 1.2 | 2.5 |"


def test_a_file_of_a_package_is_a_line(load: Callable[[str], ModuleType]) -> None:
    rows = [
        row(package="zoo==1.0", sparsity=None, outputs="same file", **{"sparse by dense": 1.0}),
        row(package="zoo==1.0", sparsity=0.75, **{"relative error": 0.0}),
    ]
    line = load("conversion_tables").packages(rows).splitlines()[-1]
    assert line == "| `Net` | zoo | float32 | 100 % | same file | 25 % | 3 of 4 | equal bits |"
