# SPDX-License-Identifier: Apache-2.0
"""Tables of the comparison of mappings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]


def _row(accuracy: float, ratio: float | None = None, **more: Any) -> dict[str, Any]:
    return {"accuracy": accuracy, **({} if ratio is None else {"measured ratio": ratio}), **more}


ROWS = {
    "net, dense, seed 0": _row(0.90),
    "net, dense, seed 1": _row(0.92),
    "net, wide, Groups 4x1, unaligned, seed 0": _row(0.88, 0.6, **{"mean sparsity": 0.7}),
    "net, wide, Filters, seed 0": _row(0.86, 0.6, **{"mean sparsity": 0.5}),
    "net, wide, narrower dense, slower, seed 0": _row(0.87, 0.7, width=0.75),
    "net, wide, rules, seed 0": _row(0.89, 0.6, **{"mean sparsity": 0.6}),
    "net, tight, rules, seed 0": _row(0.87, 0.4, **{"mean sparsity": 0.8}),
}


def test_means_and_spreads_of_each_method(load: Load, tmp_path: Path) -> None:
    (tmp_path / "mapping_accuracy.json").write_text(json.dumps({"rows": ROWS}))
    found = load("mapping_tables").text(tmp_path).splitlines()
    assert "| net | - | dense | 1.000 | - | 91.00% | 2.00% | 2 |" in found
    assert "| net | wide | Groups 4x1, unaligned | 0.600 | 70% | 88.00% | 0.00% | 1 |" in found
    assert "| net | wide | narrower dense, slower 0.75 | 0.700 | - | 87.00% | 0.00% | 1 |" in found
    # Half way between 0.89 at 0.6 and 0.87 at 0.4 is as accurate as the best single pattern.
    assert "| net | Groups 4x1, unaligned | rules | 1.20x |" in found


@pytest.mark.parametrize(
    ("wide", "tight", "said"),
    [(0.89, 0.885, "at least 1.50x"), (0.87, 0.85, "below 1.00x"), (0.88, 0.87, "below 1.00x")],
)
def test_outside_of_the_measured_latencies_only_a_bound_is_told(
    wide: float, tight: float, said: str, load: Load
) -> None:
    rows = ([_row(0.88, 0.6)], [_row(wide, 0.6)], [_row(tight, 0.4)])
    assert load("mapping_tables")._speedup(*rows) == said
