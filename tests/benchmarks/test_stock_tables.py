# SPDX-License-Identifier: Apache-2.0
"""The tables of the stock target in ``docs/conversion.md``, and what the cost tables predict of the same layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from tests.benchmarks.conftest import BENCHMARKS
from tfprune.converter.stock.fully_connected import LEAST_WEIGHTS
from tfprune.costs import LayerShape, StockOp, load_table, predict_dense, predict_stock

Load = Callable[[str], ModuleType]
RESULTS = BENCHMARKS / "results"


def test_the_results_are_shown_as_they_are(load: Load) -> None:
    tables = load("stock_tables").tables(RESULTS)
    text = (BENCHMARKS.parent / "docs" / "conversion.md").read_text(encoding="utf-8")
    assert len(tables) == 3
    for name, table in tables.items():
        assert f"<!-- table: {name} -->\n\n{table}\n\n" in text, name


@pytest.mark.parametrize(("device", "worst"), [("arm64", 1.0), ("host", 0.85)])
def test_no_layer_that_is_predicted_to_gain_loses(load: Load, device: str, worst: float) -> None:
    """Fully-connected layers in the sparse encoding, by the least speed-up that is asked for."""
    rows = json.loads((RESULTS / "stock_dense_layers.json").read_text())["rows"]
    table = load_table(device)
    errors, gains = [], 0
    for layer in load("stock_tables").dense_layers(rows, device == "arm64"):
        if layer.out_channels * layer.features < LEAST_WEIGHTS:
            continue
        outputs = layer.out_channels * layer.batch
        shape = LayerShape(True, layer.out_channels, layer.features, 1, layer.batch, layer.features * layer.batch)
        stored = round(shape.macs * (1 - layer.sparsity))
        sparse = predict_stock(table, "float32", StockOp(f"sparse_{shape.kind}", stored, outputs))
        predicted = predict_dense(table, shape) / sparse
        errors.append(abs(np.log(predicted / layer.speedup)))
        if predicted >= 1.05:
            gains += 1
            assert layer.speedup >= worst, layer
    assert gains >= 30
    # Those of two rows are predicted to gain about half of what they do.
    assert np.median(errors) < np.log(1.5)
