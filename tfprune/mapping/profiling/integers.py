# SPDX-License-Identifier: Apache-2.0
"""Random weights as the integers of each precision, with scales that use the whole range of inputs and outputs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.formats import ActivationType, Quantization, Rounding

#: Real value of a step of an int8 input; inputs take all values.
INPUT_SCALE = 1 / 64
Array = npt.NDArray[Any]
Matrix = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Integers:
    """How a precision stores what it computes with; None: as float32.

    Attributes:
        activations: type of input and output.
        weights: type of the weights.
        bias: type of the bias.
    """

    activations: type[np.generic] | None
    weights: type[np.generic]
    bias: type[np.generic]

    @property
    def input_scale(self) -> float:
        """Real value of a step of the input; its range is the same in every precision."""
        return INPUT_SCALE / 256 if self.activations is np.int16 else INPUT_SCALE

    def output_scale(self, weights: Matrix) -> float:
        """Scale of an output whose values spread over the whole range."""
        spread = np.sqrt((weights.astype(np.float64) ** 2).sum(axis=1).max()) * 128 / np.sqrt(3) * INPUT_SCALE
        return float(4 * spread / (32767 if self.activations is np.int16 else 127))

    def quantized(self, weights: Matrix) -> tuple[Array, npt.NDArray[np.float32]]:
        """Weights and a scale for each row, of uint8 weights one for all; no weight but a zero becomes zero."""
        rows = np.abs(weights).max(axis=1)
        largest = np.full_like(rows, rows.max()) if self.weights is np.uint8 else rows
        scale = np.maximum(largest, 1e-6) / 127
        steps = np.round(weights / scale[:, None])
        steps = np.where((weights != 0) & (steps == 0), np.sign(weights), steps) + zero_point(self.weights)
        return steps.astype(self.weights), scale.astype(np.float32)

    def stored_scale(self, scale: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The scales of the weights as a tensor has them."""
        return scale[:1] if self.weights is np.uint8 else scale

    def quantization(self, weights: Matrix, scale: npt.NDArray[np.float32]) -> Quantization:
        """What packed weights carry."""
        if self.activations is None:
            return Quantization(scale)
        zero, kind = zero_point(self.activations), ActivationType[np.dtype(self.activations).name.upper()]
        ends = (self.input_scale, zero, self.output_scale(weights), zero)
        # XNNPACK runs uint8 convolutions as it runs int8 ones; int16 ones stay with the builtin kernels.
        rounding = Rounding.BUILTIN if self.activations is np.int16 else Rounding.XNNPACK
        return Quantization(scale, *ends, kind, rounding, zero_point(self.weights))


def zero_point(kind: Any) -> int:
    """The number that means zero."""
    return 128 if np.dtype(kind) == np.uint8 else 0


INTEGERS = {
    "int8": Integers(np.int8, np.int8, np.int32),
    "uint8": Integers(np.uint8, np.uint8, np.int32),
    "int16": Integers(np.int16, np.int8, np.int64),
    "dynamic": Integers(None, np.int8, np.float32),
}
