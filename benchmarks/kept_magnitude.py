# SPDX-License-Identifier: Apache-2.0
"""How much magnitude each way of choosing groups keeps, on random and on trained weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import pretrained
from tfprune.sparsity.layouts import MatrixShape, from_matrix, to_matrix
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.scores import to_integers
from tfprune.sparsity.select import select
from tfprune.sparsity.select.bed import keep_windows_by_expansion
from tfprune.sparsity.select.lines import from_lines, to_lines
from tfprune.sparsity.select.packing import upper_bound

Kernel = npt.NDArray[Any]
Networks = dict[str, dict[str, Kernel]]
Chooser = Callable[[Kernel], npt.NDArray[np.bool_]]
SPARSITIES = (0.5, 0.75, 0.9, 0.95)
UNIT_ROWS = 32
# As when training: smaller kernels stay dense.
MIN_WEIGHTS = 2048
PATTERNS = (
    Groups(4, 1),
    Groups(1, 4, along="input"),
    Groups(4, 4),
    Groups(4, 4, along="input"),
    Groups(2, 2),
    Groups(2, 2, along="input"),
)
RANDOM_SHAPES = ((512, 512), (3, 3, 128, 128), (1, 1, 256, 1024))


def networks(wheel: Path | None, saved: Path | None) -> Networks:
    """Kernels by network and name: random ones, and those of the files that are given."""
    random = np.random.default_rng(0)
    found: Networks = {
        "random, Gaussian": {f"layer {index}": random.normal(size=shape) for index, shape in enumerate(RANDOM_SHAPES)},
        "random, Laplace": {f"layer {index}": random.laplace(size=shape) for index, shape in enumerate(RANDOM_SHAPES)},
    }
    if wheel:
        found["EfficientNet-Lite0"] = pretrained.kernels(pretrained.read(wheel))
    if saved:
        found[saved.stem] = _keras_kernels(saved)
    return {
        network: {name: kernel for name, kernel in kernels.items() if kernel.size >= MIN_WEIGHTS}
        for network, kernels in found.items()
    }


def _keras_kernels(path: Path) -> dict[str, Kernel]:
    """Convolution and dense kernels of a saved model; depthwise ones left out."""
    import keras

    model = keras.saving.load_model(path, compile=False)
    return {
        layer.name: np.asarray(layer.kernel)
        for layer in model.layers
        if type(layer) in (keras.layers.Conv2D, keras.layers.Dense)
    }


def magnitude(kernels: dict[str, Kernel], choose: Chooser) -> float:
    """Magnitude that a choice keeps in all kernels."""
    return float(sum(np.abs(kernel[choose(kernel)], dtype=np.float64).sum() for kernel in kernels.values()))


def exactly(pattern: Groups, sparsity: float) -> Chooser:
    """`select`."""
    return lambda kernel: select(kernel, pattern, sparsity)


def by_bed(pattern: Groups, sparsity: float) -> Chooser:
    """`select`, with block expansion and division in place of the exact choice."""

    def choose(kernel: Kernel) -> npt.NDArray[np.bool_]:
        matrix = to_matrix(np.abs(kernel))
        lines, window = to_lines(to_integers(matrix), pattern)
        chosen = keep_windows_by_expansion(lines, window, pattern.kept_cells(sparsity, kernel.shape))
        return from_matrix(from_lines(chosen, pattern, MatrixShape(*matrix.shape)), kernel.shape)

    return choose


def quality(networks: Networks) -> Iterator[dict[str, Any]]:
    """Ratios of kept magnitude, summed over all kernels of a network; every layer at the same sparsity."""
    for network, kernels in networks.items():
        for pattern in PATTERNS:
            for sparsity in SPARSITIES:
                yield {"network": network, **_ratios(kernels, pattern, sparsity)}


def _ratios(kernels: dict[str, Kernel], pattern: Groups, sparsity: float) -> dict[str, Any]:
    balanced = replace(pattern, balanced=True, unit_rows=UNIT_ROWS)
    fitting = {name: each for name, each in kernels.items() if balanced.reaches(sparsity, each.shape)}
    free, on_grid, even, even_on_grid = (
        magnitude(fitting, exactly(replace(each, aligned=aligned), sparsity))
        for each in (pattern, balanced)
        for aligned in (False, True)
    )
    # Units round their shares: compare at the very number of weights that they keep.
    as_many = magnitude(fitting, lambda kernel: select(kernel, pattern, _achieved(kernel, balanced, sparsity)))
    bed = magnitude(fitting, by_bed(pattern, sparsity))
    everything = magnitude(fitting, lambda kernel: np.ones(kernel.shape, np.bool_))
    return {
        "groups": f"{pattern.rows}x{pattern.cols} along {pattern.along}",
        "sparsity": sparsity,
        "layers": len(fitting),
        "kept share": round(free / everything, 4),
        "unaligned / aligned": round(free / on_grid, 4),
        "unaligned / BED": round(free / bed, 5),
        "balanced / not": round(even / as_many, 4),
        "balanced: unaligned / aligned": round(even / even_on_grid, 4),
    }


def _achieved(kernel: Kernel, pattern: Groups, sparsity: float) -> float:
    """Sparsity of a mask of the pattern."""
    return 1 - float(select(kernel, pattern, sparsity).mean())


def both(networks: Networks) -> Iterator[dict[str, Any]]:
    """Three layers of each network: magnitude of groups that are free on both axes against the two reductions."""
    for network, kernels in networks.items():
        large = sorted((name for name in kernels), key=lambda name: -kernels[name].size)
        for name in large[:: max(1, len(large) // 3)][:3]:
            kernel = kernels[name]
            for size in (2, 4):
                for sparsity in SPARSITIES:
                    yield _both_row(network, name, kernel, size, sparsity)


def _both_row(network: str, name: str, kernel: Kernel, size: int, sparsity: float) -> dict[str, Any]:
    pattern = Groups(size, size, along="both")
    scores = to_integers(to_matrix(np.abs(kernel)))
    count = pattern.kept_cells(sparsity, kernel.shape)
    kept = {
        along: magnitude({name: kernel}, exactly(replace(pattern, along=along), sparsity))
        for along in ("both", "output", "input")
    }
    bound = upper_bound(scores, size, size, count) * float(np.abs(kernel).max()) / 2**30
    return {
        "network": network,
        "layer": name,
        "shape": "x".join(map(str, kernel.shape)),
        "groups": f"{size}x{size}",
        "sparsity": sparsity,
        "both / better of output and input": round(kept["both"] / max(kept["output"], kept["input"]), 4),
        "both / bound": round(kept["both"] / bound, 4),
    }
