# SPDX-License-Identifier: Apache-2.0
"""Seeded inputs for models that are run without data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import RuntimeInputError
from tfprune.runtime.interpreter import TensorSpec

# Whole numbers of at most so many bytes are quantised values.
_QUANTISED_BYTES = 2


def random_inputs(specs: Sequence[TensorSpec], batch: int | None, seed: int) -> dict[str, npt.NDArray[Any]]:
    """Returns one array for each input: normal for floats, any number for whole numbers of 8 and 16 bits, else 0 or 1.

    Narrow whole numbers are quantised values; wide ones are often indices into a table of unknown length.

    Args:
        specs: the inputs.
        batch: size of the first dimension, at least 1, or None for the file's own (1 where it is open).
        seed: start of the random numbers; equal seeds give equal arrays.

    Raises:
        RuntimeInputError: an input holds neither numbers nor booleans.
    """
    rng = np.random.default_rng(seed)
    arrays: dict[str, npt.NDArray[Any]] = {}
    for spec in specs:
        shape = [max(1, size) for size in spec.shape]
        if batch is not None and shape:
            shape[0] = batch
        if spec.dtype.kind == "f":
            arrays[spec.name] = rng.standard_normal(shape).astype(spec.dtype)
        elif spec.dtype.kind in "iu" and spec.dtype.itemsize <= _QUANTISED_BYTES:
            limits = np.iinfo(spec.dtype)
            arrays[spec.name] = rng.integers(limits.min, limits.max, shape, dtype=spec.dtype, endpoint=True)
        elif spec.dtype.kind in "iub":
            arrays[spec.name] = rng.integers(0, 2, shape).astype(spec.dtype)
        else:
            raise RuntimeInputError(
                f"input `{spec.name}`: random inputs must be numbers or booleans, the model wants {spec.dtype}; "
                "give inputs of your own"
            )
    return arrays
