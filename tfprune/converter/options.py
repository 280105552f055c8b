# SPDX-License-Identifier: Apache-2.0
"""The options of a tfprune op: what its packed weights are, for people who open the file."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from tfprune.formats import (
    FORMAT_VERSION,
    Activation,
    ActivationType,
    Encoding,
    Op,
    PackedWeights,
    Rounding,
    ValueType,
)


def op_options(packed: PackedWeights) -> dict[str, Any]:
    """Options for a flexbuffer map; viewers such as Netron show them. No kernel reads them: the weights say it all.

    Few and short, for every operator of a file has them: what is usual is left out (no activation, float32
    activations, a stride or dilation of 1).

    Args:
        packed: the op's weights.

    Returns:
        ``version``, ``encoding``, ``group`` (rows x columns), ``kernel`` (in TFLite's order), ``value_type`` (of
        the packed weights) and ``sparsity``, the share of zeros in the op's weight matrix; where they are not usual
        ``stride``, ``dilation``, ``padding`` (of convolutions), ``activation``, ``activation_type`` and ``rounding``.
    """
    header, spec = packed.header, packed.header.spec
    convolution = spec.op == Op.CONV_2D
    window = (spec.kernel_h, spec.kernel_w) if convolution else ()
    said: dict[str, Any] = {
        "version": FORMAT_VERSION,
        "encoding": _name(Encoding(header.encoding)),
        "group": _sizes(header.group_rows, header.group_cols),
        "kernel": _sizes(spec.out_channels, *window, spec.in_channels),
        "value_type": _name(ValueType(header.value_type)),
        "sparsity": round(1 - int(np.count_nonzero(packed.values)) / (spec.out_channels * spec.columns), 6),
    }
    if convolution:
        said["padding"] = _name(spec.padding)
    for field, sizes in (("stride", (spec.stride_h, spec.stride_w)), ("dilation", (spec.dilation_h, spec.dilation_w))):
        if sizes != (1, 1):
            said[field] = _sizes(*sizes)
    unusual = {
        "activation": (spec.activation, Activation.NONE),
        "activation_type": (ActivationType(header.activation_type), ActivationType.FLOAT32),
        "rounding": (Rounding(header.rounding), Rounding.NONE),
    }
    return {**said, **{field: _name(value) for field, (value, usual) in unusual.items() if value != usual}}


def _name(code: enum.IntEnum) -> str:
    return code.name.lower()


def _sizes(*sizes: int) -> str:
    return "x".join(map(str, sizes))
