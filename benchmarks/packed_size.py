# SPDX-License-Identifier: Apache-2.0
"""Packed bytes against what they must hold: the kept values, and where they are.

Where groups are is information: the logarithm of the number of ways to place them. A file cannot be smaller than kept
values and information together; the ratio of its size to them says how much the format spends beside.

python benchmarks/packed_size.py
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from tfprune.formats import Encoding, ValueType, count_groups
from tfprune.sparsity.layouts import to_matrix
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.select import select

#: The most that a packed layer may take for each byte of kept values and information.
LIMITS = {ValueType.FLOAT32: 1.05, ValueType.FLOAT16: 1.08, ValueType.INT8: 1.14}
#: Fully-connected and convolution kernels of ordinary layers, in Keras' order of axes.
KERNELS = ((256, 256), (2048, 1000), (1, 1, 512, 128), (3, 3, 64, 64), (3, 3, 512, 512))
SPARSITIES = (0.5, 0.6, 0.75, 0.8, 0.9)


@dataclasses.dataclass(frozen=True)
class Packing:
    """Groups of a pattern, and how they are stored."""

    rows: int
    cols: int
    aligned: bool

    @property
    def pattern(self) -> Groups:
        """The pattern that makes them."""
        along = "output" if self.cols == 1 else "input"
        return Groups(rows=self.rows, cols=self.cols, along=along, aligned=self.aligned)

    @property
    def encoding(self) -> Encoding:
        """The encoding that holds them without zeros."""
        return Encoding.ROW_BAND if self.aligned or self.rows == 1 else Encoding.SLIDING_ROW


PACKINGS = tuple(Packing(rows, cols, aligned) for rows, cols in ((4, 1), (8, 1), (1, 4)) for aligned in (True, False))


def log2_choices(cells: int, kept: int) -> float:
    """Logarithm of the number of ways to choose ``kept`` of ``cells``."""
    natural = math.lgamma(cells + 1) - math.lgamma(kept + 1) - math.lgamma(cells - kept + 1)
    return natural / math.log(2)


def information_bytes(nonzero: npt.NDArray[np.bool_], packing: Packing) -> float:
    """Bytes that say where the groups are.

    Aligned groups are any so many of all cells. Of unaligned groups the number in each line is taken as known, which
    makes the information a little less than it is: ``k`` groups of ``g`` in ``n`` places are ``k`` of
    ``n - (g - 1) * k``.
    """
    size = packing.rows * packing.cols
    if packing.aligned:
        return log2_choices(nonzero.size // size, int(nonzero.sum()) // size) / 8
    lines = nonzero.T if packing.cols == 1 else nonzero
    counts = lines.sum(axis=1) // size
    return sum(log2_choices(lines.shape[1] - (size - 1) * int(count), int(count)) for count in counts) / 8


def pruned(kernel: tuple[int, ...], packing: Packing, sparsity: float) -> npt.NDArray[np.bool_]:
    """Which weights of a random kernel the pattern keeps, as a matrix."""
    weights = np.random.default_rng(0).standard_normal(kernel).astype(np.float32)
    layout = "dense" if len(kernel) == 2 else "conv2d"
    mask = np.asarray(select(weights, packing.pattern, sparsity))
    return to_matrix(mask, layout).reshape(kernel[-1], -1)


def size_ratio(nonzero: npt.NDArray[np.bool_], packing: Packing, value_type: ValueType, in_channels: int) -> float:
    """Packed bytes for each byte of kept values and information.

    The scales of int8 weights count as values: the dense layer has them too.
    """
    counted = count_groups(nonzero, packing.encoding, packing.rows, packing.cols, value_type, in_channels)
    values = int(nonzero.sum()) * value_type.size + (4 * len(nonzero) if value_type.quantized else 0)
    return counted.size / (values + information_bytes(nonzero, packing))


def main() -> None:
    """Prints the ratios of all layers."""
    print("kernel groups sparsity " + " ".join(f"{kind.name.lower()} (most {most})" for kind, most in LIMITS.items()))
    for kernel in KERNELS:
        for packing in PACKINGS:
            for sparsity in SPARSITIES:
                nonzero = pruned(kernel, packing, sparsity)
                ratios = [size_ratio(nonzero, packing, kind, kernel[-2]) for kind in LIMITS]
                groups = f"{packing.rows}x{packing.cols}{'' if packing.aligned else ' unaligned'}"
                print(f"{kernel} {groups} {sparsity} " + " ".join(f"{ratio:.4f}" for ratio in ratios))


if __name__ == "__main__":
    main()
