# SPDX-License-Identifier: Apache-2.0
"""Fits together with their errors on what they did not see."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any, TypeVar

import numpy as np

from tfprune.costs.facts import DeviceFacts, HeldOut
from tfprune.costs.predict import predict_dense, predict_sparse, stock_time
from tfprune.costs.table import KINDS, TABLE_VERSION, CostTable, KindCosts, StockCosts, parse_table
from tfprune.mapping.profiling.fitting import Array, fit_kinds, fit_stock
from tfprune.mapping.profiling.samples import Sample, StockSample

HELD_OUT = 4  # one in so many measurements
Measured = TypeVar("Measured")


def table_content(
    name: str,
    unit: str,
    cache_bytes: int | None,
    precisions: dict[str, Any],
    device: DeviceFacts | None = None,
    general: bool = False,
) -> dict[str, Any]:
    """A cost table as JSON has it."""
    return {
        "version": TABLE_VERSION,
        "name": name,
        "unit": unit,
        "general": general,
        "cache_bytes": cache_bytes,
        "device": dataclasses.asdict(device or DeviceFacts()),
        "precisions": precisions,
    }


def speedup_errors(table: CostTable, found: Sequence[Sample]) -> Array:
    """Relative errors of the predicted speed-up."""
    predicted = [predict_dense(table, one.layer) / predict_sparse(table, one.layer, one.packed) for one in found]
    errors: Array = np.abs(np.array(predicted) / np.array([one.dense / one.sparse for one in found]) - 1)
    return errors


def held_out(found: Sequence[Measured]) -> tuple[list[Measured], list[Measured]]:
    """All but a random part, and that part."""
    held = np.random.default_rng(0).permutation(len(found)) < len(found) / HELD_OUT
    return list(compress(found, ~held)), list(compress(found, held))


def fit_layers(
    found: Sequence[Sample],
    tile: dict[str, int],
    precision: str,
    cache_bytes: int | None,
    known: dict[str, Any] | None = None,
    prior: Mapping[str, KindCosts] | None = None,
) -> tuple[dict[str, Any], HeldOut]:
    """The coefficients of every kind of layer from all of them, and the errors of those from all but a part, there.

    Kinds that are not among the layers keep the coefficients that are known; `prior` is that of `fit_kinds`.
    """
    kept, held = held_out(found)
    kinds = [kind for kind in KINDS if any(sample.layer.kind == kind for sample in found)]
    every = {**(known or {}), **fit_kinds(kept, tile, precision, cache_bytes, kinds, prior)}
    table = layer_table(every, tile, precision, cache_bytes)
    fitted = fit_kinds(found, tile, precision, cache_bytes, kinds, prior)
    return {**every, **fitted}, spread(speedup_errors(table, held))


def layer_table(kinds: dict[str, Any], tile: dict[str, int], precision: str, cache_bytes: int | None) -> CostTable:
    """A table that predicts layers only."""
    part = {"source": "a part", "held_out": {}, "tile": tile, "kinds": kinds, "stock_ops": {}}
    return parse_table(table_content("part", "any", cache_bytes, {precision: part}), "part")


def fit_stock_ops(
    found: Sequence[StockSample], prior: Mapping[str, StockCosts] | None = None
) -> tuple[dict[str, Any], HeldOut | None]:
    """The same of every stock op; there are few of each, so that each is left out once.

    An op of which there is only one says nothing of others.
    """
    errors = []
    for left_out in found:
        same = [sample for sample in found if sample.op.name == left_out.op.name and sample is not left_out]
        if same:
            costs = StockCosts(**fit_stock(same, prior)[left_out.op.name])
            errors.append(abs(stock_time(costs, left_out.op) / left_out.time - 1))
    return fit_stock(found, prior), spread(np.array(errors)) if errors else None


def spread(errors: Array) -> HeldOut:
    """Errors in three numbers."""
    return HeldOut(len(errors), *(float(f"{share:.3g}") for share in (np.median(errors), np.quantile(errors, 0.9))))
