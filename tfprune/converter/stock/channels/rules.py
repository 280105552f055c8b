# SPDX-License-Identifier: Apache-2.0
"""The rule of each operator, and the walk that applies them; what has no rule holds the channels that it touches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfprune.converter.capability import Refused
from tfprune.converter.stock.channels import elementwise_rules as elementwise
from tfprune.converter.stock.channels import layout_rules as layout
from tfprune.converter.stock.channels import linear_rules as linear
from tfprune.converter.stock.channels.activations import UNARY
from tfprune.converter.stock.channels.trace import Trace
from tfprune.converter.stock.editor import Editor

Rule = Callable[[Trace, Any], None]

RULES: dict[str, Rule] = {
    "CONV_2D": linear.conv_2d,
    "DEPTHWISE_CONV_2D": linear.depthwise_conv_2d,
    "FULLY_CONNECTED": linear.fully_connected,
    "TRANSPOSE_CONV": linear.transpose_conv,
    **dict.fromkeys(UNARY, elementwise.unary),
    **dict.fromkeys(elementwise.BINARY, elementwise.binary),
    "PRELU": elementwise.prelu,
    "QUANTIZE": elementwise.convert_type,
    "DEQUANTIZE": elementwise.convert_type,
    "AVERAGE_POOL_2D": layout.pool,
    "MAX_POOL_2D": layout.pool,
    "RESIZE_BILINEAR": layout.resize,
    "RESIZE_NEAREST_NEIGHBOR": layout.resize,
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), layout.reduce),
    "PAD": layout.pad,
    "PADV2": layout.pad,
    "MIRROR_PAD": layout.keep,
    "SPACE_TO_BATCH_ND": layout.space_to_batch,
    "BATCH_TO_SPACE_ND": layout.keep,
    "CONCATENATION": layout.concatenation,
    "SPLIT": layout.split,
    "SPLIT_V": layout.split,
    "SLICE": layout.cut,
    "STRIDED_SLICE": layout.strided_cut,
    "TRANSPOSE": layout.transpose,
    "RESHAPE": layout.reshape,
    "SQUEEZE": layout.reshape,
    "EXPAND_DIMS": layout.reshape,
    "SHAPE": layout.shape_of,
}


def follow(editor: Editor) -> Trace:
    """Follows the channels of a subgraph from its inputs to its outputs."""
    trace = Trace(editor)
    for op in editor.operators:
        marks = len(trace.held), len(trace.counts), len(trace.folds), len(trace.merges)
        try:
            rule = RULES.get(editor.name(op))
            if rule is None:
                raise Refused("operator", f"{editor.name(op)} needs all channels where they are")
            if not len(op.outputs) or min(op.outputs) < 0:
                raise Refused("malformed", "the operator lacks an output")
            # What overflows is not finite, and then not followed.
            with np.errstate(all="ignore"):
                rule(trace, op)
        except Refused as reason:
            del trace.held[marks[0] :], trace.counts[marks[1] :], trace.folds[marks[2] :], trace.merges[marks[3] :]
            _hold_all(trace, op, reason)
    for index in editor.fixed:
        if index in trace.tensors:
            trace.channels.pin(trace.ids(index), Refused("output", "they are an input or output of the model"))
    return trace


def _hold_all(trace: Trace, op: Any, reason: Refused) -> None:
    for index in op.inputs:
        if index >= 0 and int(index) in trace.tensors:
            trace.channels.pin(trace.ids(int(index)), reason)
    for index in op.outputs:
        if index >= 0:
            trace.opaque(int(index), reason)
