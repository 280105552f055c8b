# SPDX-License-Identifier: Apache-2.0
"""The options of a tfprune op: what the header of its packed weights says, for people who open the file."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import numpy as np

from tfprune.formats import (
    FORMAT_VERSION,
    Activation,
    ActivationType,
    Encoding,
    PackedWeights,
    Padding,
    Rounding,
    ValueType,
)

_NAMES: dict[str, type[enum.IntEnum]] = {
    "activation": Activation,
    "activation_type": ActivationType,
    "encoding": Encoding,
    "padding": Padding,
    "rounding": Rounding,
    "value_type": ValueType,
}


def op_options(packed: PackedWeights) -> dict[str, Any]:
    """Options for a flexbuffer map; viewers such as Netron show them. No kernel reads them: the weights say it all.

    Args:
        packed: the op's weights.

    Returns:
        ``version``, every field of the header, ``*_name`` for those that are codes, and ``sparsity``, the share of
        zeros in the op's weight matrix.
    """
    header = packed.header
    fields = dataclasses.asdict(header)
    names = {f"{field}_name": kind(fields[field]).name.lower() for field, kind in _NAMES.items()}
    weights = header.out_channels * header.columns
    sparsity = round(1 - int(np.count_nonzero(packed.values)) / weights, 6)
    return {"version": FORMAT_VERSION, **fields, **names, "sparsity": sparsity}
