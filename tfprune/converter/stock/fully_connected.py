# SPDX-License-Identifier: Apache-2.0
"""Fully-connected layers with few non-zero blocks get TFLite's own sparse encoding, which stock kernels multiply."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfprune.converter.capability import WEIGHTS_INPUT, Refused
from tfprune.converter.schema import AlignedBuffer, BuiltinOperator, TensorType, tfl
from tfprune.converter.stock.editor import Constant, Editor
from tfprune.converter.stock.log import Log
from tfprune.converter.stock.sparse_encoding import BLOCK, encode, encoded_bytes, kept_blocks
from tfprune.converter.weights import holds_quantized

NAME = "sparse encoding"
# The version of FULLY_CONNECTED from which weights may be sparse.
_SPARSE_VERSION = 8
# Share of kept 1x4 blocks up to which the sparse kernel is faster than XNNPACK's dense one, for layers of at least so
# many weights and at most so many rows of input: benchmarks/stock_runtime.py, docs/conversion.md.
_GAINS = ((2**21, 2, 0.2), (2**17, None, 0.125))


def rewrite(editor: Editor, log: Log) -> None:
    """Encodes the weights of every fully-connected operator that gets faster by it."""
    quantized = holds_quantized(editor.graph)
    for op in editor.operators:
        if editor.name(op) == "FULLY_CONNECTED":
            try:
                if quantized:
                    raise Refused("quantized_file", "stock runtimes cannot load sparse weights in a quantized model")
                _check_gain(editor, op)
                encode_weights(editor, op)
                log.changed(op, NAME)
            except Refused as refused:
                log.refused(op, NAME, refused.code, refused.text)


def most_blocks(weights: int, rows: int | None) -> float:
    """Share of 1x4 blocks up to which the sparse encoding pays.

    Args:
        weights: number of weights, zeros included.
        rows: number of input rows; None where the file does not fix it.
    """
    found = [
        share
        for least, most, share in _GAINS
        if weights >= least and (most is None or (rows is not None and rows <= most))
    ]
    return max(found, default=0.0)


def encode_weights(editor: Editor, op: Any) -> None:
    """Encodes the float32 weights of an operator, whether or not it gains; nothing else may use them."""
    weights = editor.constant(op, WEIGHTS_INPUT)
    assert weights is not None
    sparsity, values = encode(weights.values)
    weights.tensor.sparsity = sparsity
    editor.graph.model.buffers.append(AlignedBuffer(values.view(np.uint8)))
    weights.tensor.buffer = len(editor.graph.model.buffers) - 1
    editor.graph.set_builtin(
        op, BuiltinOperator.FULLY_CONNECTED, _SPARSE_VERSION, op.builtinOptionsType, op.builtinOptions
    )


def _check_gain(editor: Editor, op: Any) -> None:
    weights = editor.constant(op, WEIGHTS_INPUT)
    x = editor.input(op, 0)
    _check(editor, op, weights, x)
    assert weights is not None
    assert x is not None
    matrix = weights.values
    kept = kept_blocks(matrix != 0)
    share, shape = float(kept.mean()), editor.shape(x)
    rows = None if min(shape, default=1) < 1 else int(np.prod(shape)) // matrix.shape[1]
    limit = most_blocks(matrix.size, rows)
    if share > limit:
        enough = f"the stock kernel gains up to {limit:.1%}" if limit else "the layer is too small for it to gain"
        raise Refused("too_slow", f"{share:.1%} of the 1x{BLOCK} blocks hold weights; {enough}")
    if encoded_bytes(kept) >= matrix.nbytes:
        raise Refused("not_smaller", f"encoded {encoded_bytes(kept)} bytes, dense {matrix.nbytes}")


def _check(editor: Editor, op: Any, weights: Constant | None, x: int | None) -> None:
    if weights is None or x is None or weights.values.ndim != 2:
        raise Refused("weights_not_constant", "the weights are not a constant of the file")
    if weights.dequantize is not None or weights.tensor.type != TensorType.FLOAT32:
        raise Refused("not_float32", "only float32 weights have a sparse kernel")
    if weights.shared:
        raise Refused("shared_weights", "other operators use the same weights")
    if not isinstance(op.builtinOptions, tfl.FullyConnectedOptionsT) or op.builtinOptions.weightsFormat:
        raise Refused("weights_format", "the weights must have the default format")
    if weights.values.shape[1] % BLOCK:
        raise Refused("block_size", f"the features must be a multiple of {BLOCK}, got {weights.values.shape[1]}")
    if weights.nonzero.all():
        raise Refused("no_zeros", "no weight is zero")
    if not weights.nonzero.any():
        raise Refused("all_zero", "all weights are zero")
