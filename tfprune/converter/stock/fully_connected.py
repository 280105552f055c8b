# SPDX-License-Identifier: Apache-2.0
"""Fully-connected layers with few non-zero blocks get TFLite's own sparse encoding, which stock kernels multiply."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfprune.converter.capability import WEIGHTS_INPUT, Refused
from tfprune.converter.schema import BuiltinOperator, TensorType, tfl
from tfprune.converter.stock.editor import NO_WEIGHTS, Constant, Editor
from tfprune.converter.stock.log import Considered, Log
from tfprune.converter.stock.prediction import Predictor, layer_shape
from tfprune.converter.stock.sparse_encoding import BLOCK, ENCODING, encode, encoded_bytes, kept_blocks
from tfprune.converter.weights import holds_quantized
from tfprune.costs import predict_dense
from tfprune.errors import NotModelledError

NAME = "sparse encoding"
#: The version of FULLY_CONNECTED from which weights may be sparse.
SPARSE_VERSION = 8
#: Weights from which the cost tables predict well: with 2^16 and a few rows, dense times are up to twice too long.
LEAST_WEIGHTS = 2**17


def rewrite(editor: Editor, log: Log, predictor: Predictor) -> None:
    """Encodes the weights of every fully-connected operator that is predicted to get faster by it."""
    quantized = holds_quantized(editor.graph)
    for op in editor.operators:
        if editor.name(op) == "FULLY_CONNECTED":
            try:
                if quantized:
                    raise Refused("quantized_file", "stock runtimes cannot load sparse weights in a quantized model")
                _check_gain(editor, op, predictor, log)
                encode_weights(editor, op)
                log.changed(op, NAME)
            except Refused as refused:
                log.refused(op, NAME, refused.code, refused.text)


def encode_weights(editor: Editor, op: Any) -> None:
    """Encodes the float32 weights of an operator, whether or not it gains; nothing else may use them."""
    weights = editor.constant(op, WEIGHTS_INPUT)
    assert weights is not None
    sparsity, values = encode(weights.values)
    weights.tensor.sparsity = sparsity
    weights.tensor.buffer = editor.graph.add_buffer(values.view(np.uint8))
    editor.graph.set_builtin(
        op, BuiltinOperator.FULLY_CONNECTED, SPARSE_VERSION, op.builtinOptionsType, op.builtinOptions
    )


def _check_gain(editor: Editor, op: Any, predictor: Predictor, log: Log) -> None:
    weights = editor.constant(op, WEIGHTS_INPUT)
    _check(op, weights)
    assert weights is not None
    kept = kept_blocks(weights.nonzero)
    stored = BLOCK * int(np.count_nonzero(kept))
    _check_time(editor, op, stored, predictor, log)
    if encoded_bytes(kept) >= weights.values.nbytes:
        raise Refused("not_smaller", f"encoded {encoded_bytes(kept)} bytes, dense {weights.values.nbytes}")


def _check_time(editor: Editor, op: Any, stored: int, predictor: Predictor, log: Log) -> None:
    """Refuses what is not predicted to gain; what the table does not know needs a ``min_speedup`` below 1."""
    try:
        shape = layer_shape(editor, op)
        if shape.out_channels * shape.columns < LEAST_WEIGHTS and predictor.min_speedup >= 1:
            raise Refused(
                "not_modelled", f"fewer than {LEAST_WEIGHTS} weights: the cost tables were not fitted on such"
            )
        dense, sparse = predict_dense(predictor.table, shape), predictor.encoded(shape, stored)
        most = predictor.most_stored(shape)
    except (NotModelledError, Refused) as error:
        if predictor.min_speedup >= 1:
            raise Refused("not_modelled", f"{error}. A min_speedup below 1 encodes it all the same") from None
        return
    log.considered(op, Considered(ENCODING, stored, stored * shape.pixels, sparse, most))
    if dense < predictor.min_speedup * sparse:
        places = shape.out_channels * shape.columns
        enough = (
            f"up to {most / places:.1%} are predicted to be fast enough" if most else "no share is predicted to gain"
        )
        raise Refused(
            "too_slow",
            f"predicted {dense / sparse:.2f}x with {stored / places:.1%} of the 1x{BLOCK} blocks stored, below "
            f"min_speedup {predictor.min_speedup:g}; {enough}",
        )


def _check(op: Any, weights: Constant | None) -> None:
    if weights is None or weights.values.ndim != 2:
        raise Refused(*NO_WEIGHTS)
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
