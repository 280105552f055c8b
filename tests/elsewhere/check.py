# SPDX-License-Identifier: Apache-2.0
"""What every exporter's files go through: conversion, comparison with the dense file and with the framework."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np

import tfprune
from tests.converter.helpers import STEADY_COSTS
from tfprune.errors import ModelError


@dataclasses.dataclass(frozen=True)
class Exported:
    """A file, and what the framework itself computes.

    Attributes:
        data: the file.
        x: the only input; None where nothing is compared with the framework.
        y: the framework's output for it.
    """

    data: bytes
    x: np.ndarray | None = None
    y: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
        layers: operators with weights; products of two activations are none.
        sparse: how many of them run sparse.
        reasons: how often each reason code kept one dense.
        ratio: size of the converted file by that of the file that stock LiteRT runs with the same weights.
        runs: whether stock LiteRT runs the file as it came.
        error: largest difference from the dense file, in parts of the largest output.
        framework_error: the same, from the framework's own output; None where it was not asked.
    """

    layers: int
    sparse: int
    reasons: Counter[str]
    ratio: float
    runs: bool
    error: float
    framework_error: float | None

    def row(self, name: str) -> str:
        """A line of the table in docs/conversion.md."""
        dense = ", ".join(f"{count} {code}" for code, count in sorted(self.reasons.items())) or "-"
        framework = "-" if self.framework_error is None else f"{self.framework_error:.0e}"
        runs = "" if self.runs else " (stock LiteRT does not load it)"
        cells = (
            name + runs,
            f"{self.sparse} of {self.layers}",
            dense,
            f"{self.ratio:.2f}",
            f"{self.error:.0e}",
            framework,
        )
        return f"| {' | '.join(cells)} |"


def outcome(file: Exported, min_speedup: float = 0.01) -> Outcome:
    """Converts ``file`` and compares the outputs."""
    converted = tfprune.convert(file.data, device=STEADY_COSTS, min_speedup=min_speedup)
    layers = [layer for layer in converted.report.layers if layer.sparsity is not None]
    # By the tolerances of each precision: whole numbers are equal.
    report = tfprune.verify(converted.dense, converted.tflite)
    assert report, str(report)
    assert all(output.largest > 0 and output.compared for output in report.outputs), str(report)
    return Outcome(
        layers=len(layers),
        sparse=sum(layer.verdict == "sparse" for layer in layers),
        reasons=Counter(layer.reason_code for layer in layers if layer.reason_code),
        ratio=len(converted.tflite) / len(converted.dense),
        runs=_runs(file.data),
        error=max(output.max_rel_error for output in report.outputs),
        framework_error=_framework_error(file, converted.tflite),
    )


def _runs(data: bytes) -> bool:
    try:
        tfprune.Interpreter(data)
    except ModelError:
        return False
    return True


def _framework_error(file: Exported, sparse: bytes) -> float | None:
    if file.x is None or file.y is None:
        return None
    y = tfprune.Interpreter(sparse).predict(file.x)
    assert isinstance(y, np.ndarray)
    return float(np.abs(y.astype(np.float64) - file.y).max() / np.abs(file.y).max())
