# SPDX-License-Identifier: Apache-2.0
"""What reconstruction needs to know of a layer's inputs: sums of products, taken up batch by batch.

With ``x`` the inputs that a layer gets once the layers before it are pruned, and ``y = W x0`` its outputs in the dense
model, the mean squared error of weights ``w`` of an output channel is::

    E(w) = E[(y - w x)^2] = E[y^2] - 2 w E[x y] + w E[x x'] w'

So ``E[x x']``, ``E[x y]`` and ``E[y^2]`` are all that is kept: ``columns * (columns + rows)`` numbers, however many
examples there are. A bias that may follow takes up what is constant of the error: then covariances stand in for
moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.reconstruct.solve import Floats

#: Ridge as a share of the mean square of the inputs; SparseGPT's choice too.
DAMPING = 0.01


class Parts(Enum):
    """Which weights of a matrix ``[rows, segments, cols]`` read the same inputs.

    Attributes:
        WHOLE: All rows read all columns: dense layers and convolutions.
        ROWS: Runs of rows read inputs of their own: grouped and depthwise convolutions.
        SEGMENTS: Every segment has inputs and outputs of its own: batch labels of an einsum.
    """

    WHOLE = "whole"
    ROWS = "rows"
    SEGMENTS = "segments"

    def split(self, matrix: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
        """The independent problems in a matrix.

        Args:
            matrix: ``[rows, segments, cols]``.
            count: Number of parts.

        Returns:
            ``[parts, rows of a part, columns of a part]``.
        """
        rows, segments, cols = matrix.shape
        if self is Parts.SEGMENTS:
            return np.ascontiguousarray(matrix.transpose(1, 0, 2))
        return np.ascontiguousarray(matrix).reshape(count, rows // count, segments * cols)

    def join(self, parts: npt.NDArray[Any], shape: tuple[int, int, int]) -> npt.NDArray[Any]:
        """Undoes `split`.

        Args:
            parts: ``[parts, rows of a part, columns of a part]``.
            shape: ``(rows, segments, cols)``.
        """
        if self is Parts.SEGMENTS:
            return np.ascontiguousarray(parts.transpose(1, 0, 2))
        return parts.reshape(shape)


@dataclass(frozen=True)
class Errors:
    """The squared error of a part's weights as a quadratic form, summed over nothing yet.

    Args:
        moments: ``E[x x']``, ``[columns, columns]``.
        cross: ``E[y x']``, ``[rows, columns]``.
        energy: ``E[y^2]``, ``[rows]``.
    """

    moments: Floats
    cross: Floats
    energy: Floats

    def of(self, weights: Floats) -> Floats:
        """Mean squared error of each output channel.

        Args:
            weights: ``[rows, columns]``.

        Returns:
            ``[rows]``, at least 0.
        """
        quadratic = np.einsum("rc,rc->r", weights @ self.moments - 2 * self.cross, weights)
        found: Floats = np.maximum(self.energy + quadratic, 0.0)
        return found


#: A kernel of more columns would take more than 512 MB for its moments alone.
MOST_COLUMNS = 8192


def why_too_large(columns: int) -> str:
    """Why moments of so many columns are not collected; empty: they are."""
    if columns <= MOST_COLUMNS:
        return ""
    return f"its {columns} columns are more than {MOST_COLUMNS}, whose moments would take too much memory"


class Moments:
    """Sums over a layer's inputs.

    Args:
        weights: Weights of the dense layer ``[rows, segments, cols]``.
        parts: Which of them read the same inputs.
        count: Number of parts; 1 for `Parts.WHOLE`.

    Example:
        >>> import numpy as np
        >>> moments = Moments(np.ones((4, 1, 2)))
        >>> moments.add(np.array([[[1.0, 2.0], [3.0, 4.0]]]))   # one part, two samples, two columns
        >>> moments.samples
        2
        >>> moments.errors(0, with_bias=False).of(np.zeros((4, 2)))
        array([29., 29., 29., 29.])
    """

    def __init__(self, weights: npt.NDArray[Any], parts: Parts = Parts.WHOLE, count: int = 1) -> None:
        """Nothing summed up yet."""
        self.parts = parts
        self.count = count
        self.weights: Floats = np.asarray(parts.split(weights, count), np.float64)
        _, rows, columns = self.weights.shape
        self.samples = 0
        self._gram = np.zeros((count, columns, columns))
        self._cross: Floats | None = None
        self._inputs = np.zeros((count, columns))
        self._outputs = np.zeros((count, rows))
        self._energy = np.zeros((count, rows))

    def add(self, inputs: npt.NDArray[Any], dense_inputs: npt.NDArray[Any] | None = None) -> None:
        """Takes up a batch.

        Args:
            inputs: What the layer gets, ``[parts, samples, columns]``.
            dense_inputs: What it got in the dense model for the same examples; None: the same. All batches or none.

        Raises:
            PatternError: Inputs that are not finite or so large that their products are not, or dense inputs for some
                batches only.
        """
        inputs = np.asarray(inputs)
        if not np.isfinite(inputs).all() or (dense_inputs is not None and not np.isfinite(dense_inputs).all()):
            raise PatternError("The inputs of a layer must be finite to be reconstructed. Received: NaN or infinities.")
        if self.samples and (self._cross is None) != (dense_inputs is None):
            raise PatternError("`dense_inputs` must be given for every batch, or for none. Received: both.")
        self.samples += inputs.shape[1]
        if dense_inputs is not None and self._cross is None:
            self._cross = np.zeros(self.weights.shape)
        with np.errstate(over="ignore", invalid="ignore"):
            self._sum_up(inputs, dense_inputs)
            # No product of two columns is beyond those of the columns with themselves.
            squares = np.einsum("pcc->pc", self._gram)
            sums = [squares, self._inputs, self._outputs, self._energy, *([] if self._cross is None else [self._cross])]
            overflow = not all(np.isfinite(each.sum()) for each in sums)
        if overflow:
            largest = max(float(np.abs(each).max()) for each in (inputs, dense_inputs) if each is not None)
            raise PatternError(
                "The inputs of a layer must be small enough for their products to be summed up. Received: inputs of up "
                f"to {largest:.3g} of type {inputs.dtype}, which overflow. Scale the examples as for the training."
            )

    def _sum_up(self, inputs: npt.NDArray[Any], dense_inputs: npt.NDArray[Any] | None) -> None:
        """Adds a batch to the sums."""
        # Matrix by matrix: products of stacks are many times slower.
        for part, read in enumerate(inputs):
            self._inputs[part] += read.sum(axis=0, dtype=np.float64)
            self._gram[part] += read.T @ read
            if dense_inputs is None or self._cross is None:
                continue
            outputs = dense_inputs[part] @ self.weights[part].T.astype(inputs.dtype)
            self._cross[part] += outputs.T @ read
            self._outputs[part] += outputs.sum(axis=0, dtype=np.float64)
            self._energy[part] += np.square(outputs).sum(axis=0, dtype=np.float64)

    @property
    def same_inputs(self) -> bool:
        """Whether the layer's inputs are those of the dense model, so that its weights are the optimum."""
        return self._cross is None

    def errors(self, part: int, *, with_bias: bool) -> Errors:
        """The mean squared error of a part's weights.

        Args:
            part: Number of the part.
            with_bias: Whether a bias takes up what is constant of the error.
        """
        samples = max(1, self.samples)
        moments = self._gram[part] / samples
        means = self._inputs[part] / samples
        dense = self.weights[part]
        if self._cross is None:
            cross, outputs = dense @ moments, dense @ means
            energy = np.einsum("rc,rc->r", cross, dense)
        else:
            cross, outputs = self._cross[part] / samples, self._outputs[part] / samples
            energy = self._energy[part] / samples
        if with_bias:
            moments = moments - np.outer(means, means)
            cross = cross - np.outer(outputs, means)
            energy = energy - np.square(outputs)
        return Errors(moments, cross, energy)

    def bias_change(self, part: int, weights: Floats) -> Floats:
        """What a bias must take up: the mean output of the dense model less that of the weights.

        Args:
            part: Number of the part.
            weights: New weights ``[rows, columns]``.

        Returns:
            ``[rows]``.
        """
        means = self._inputs[part] / max(1, self.samples)
        dense = self.weights[part] @ means if self._cross is None else self._outputs[part] / max(1, self.samples)
        change: Floats = dense - weights @ means
        return change
