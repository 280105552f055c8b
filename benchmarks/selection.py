# SPDX-License-Identifier: Apache-2.0
"""Times the exact choice of unaligned groups, and compares the magnitude it keeps with aligned groups.

python benchmarks/selection.py
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from rich.console import Console
from rich.table import Table

import tfprune as tp

SHAPES = ((512, 512), (3, 3, 512, 512), (2048, 4608))
SPARSITIES = (0.5, 0.8, 0.9, 0.95)
REPEATS = 3


def main() -> None:
    """Prints one table: a row for each shape and sparsity, groups of 4 output channels, Gaussian weights."""
    table = Table("weights", "sparsity", "seconds", "kept magnitude, unaligned / aligned")
    for shape in SHAPES:
        weights = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        for sparsity in SPARSITIES:
            seconds = []
            for _ in range(REPEATS):
                start = time.perf_counter()
                unaligned = tp.select(weights, tp.patterns.Groups(rows=4), sparsity)
                seconds.append(time.perf_counter() - start)
            aligned = tp.select(weights, tp.patterns.Groups(rows=4, aligned=True), sparsity)
            assert unaligned.sum() == aligned.sum()
            ratio = np.abs(weights[unaligned]).sum() / np.abs(weights[aligned]).sum()
            name = "x".join(str(size) for size in shape)
            table.add_row(name, f"{sparsity:.2f}", f"{statistics.median(seconds):.3f}", f"{ratio:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
