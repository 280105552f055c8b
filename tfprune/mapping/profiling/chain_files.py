# SPDX-License-Identifier: Apache-2.0
"""Small networks of sparse convolutions and what stands between them, as files: chains of the delegate."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfprune.converter.schema import AlignedBuffer, read_model, write_model
from tfprune.costs.predict import PackedShape
from tfprune.formats import Encoding
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.one_op import dense_model, sparse_model
from tfprune.mapping.profiling.random_weights import grouped_weights, packed_shape
from tfprune.mapping.profiling.stock_ops import stock_model
from tfprune.mapping.profiling.stock_sizes import StockLayer

#: Encodings and rows of groups that layers of a chain have in turn.
PACKINGS = (
    (Encoding.SLIDING_ROW, 4),
    (Encoding.ROW_BAND, 8),
    (Encoding.ROW_BAND, 4),
    (Encoding.ROW_BAND, 1),
    (Encoding.SLIDING_ROW, 8),
)
SPARSITIES = (0.6, 0.9, 0.75, 0.95)


class ChainCase(NamedTuple):
    """A network to be measured.

    Attributes:
        form: ``"basic"``: two 3x3 convolutions and a sum; ``"down"``: a 3x3 convolution of stride 2 and one of stride
            1; ``"inverted"``: 1x1, depthwise, 1x1 and a sum; ``"inverted_down"``: the same at stride 2, no sum;
            ``"bottleneck"``: 1x1, 3x3, 1x1 and a sum; ``"pooled"``: 1x1, a pooling, 1x1; ``"head"``: 1x1 and a mean.
        size: rows and columns of the image.
        channels: of the input.
        repeats: how often the form stands in a row.
        seed: of encodings and weights.
    """

    form: str
    size: int
    channels: int
    repeats: int
    seed: int

    def __str__(self) -> str:
        """What tells it from others."""
        return f"chain {self.repeats} {self.form} {self.size}x{self.size}x{self.channels}, seed {self.seed}"


class Piece(NamedTuple):
    """An operator of a network, dense and as a chain has it.

    Attributes:
        dense: file of the dense operator.
        sparse: file of the sparse one; the same where it has no weights or keeps them.
        layer: the sparse convolution.
        packed: its packed weights.
        skip: whether it adds what the form was given.
    """

    dense: bytes
    sparse: bytes
    layer: LayerSizes | None = None
    packed: PackedShape | None = None
    skip: bool = False


def pieces(case: ChainCase) -> list[Piece]:
    """The operators of a network, in order."""
    made: list[Piece] = []
    size, channels = case.size, case.channels
    for _ in range(case.repeats):
        block, size, channels = _form(case, size, channels, len(made))
        made += block
    return made


def _form(case: ChainCase, size: int, channels: int, place: int) -> tuple[list[Piece], int, int]:
    """One form, the size of its image and its channels."""
    wide, half = 6 * channels, -(-size // 2)

    def conv(size: int, given: int, made: int, kernel: int, stride: int = 1) -> Piece:
        nonlocal place
        place += 1
        return _convolution(LayerSizes("conv", size, size, given, made, kernel, stride, 1), case.seed + place)

    def stock(name: str, size: int, channels: int, kernel: int, stride: int, operator: str = "") -> Piece:
        content = stock_model(
            StockLayer(name, (1, size, size, channels), channels, kernel, stride, 1, operator), "float32"
        )
        return Piece(content, content, skip=operator == "ADD")

    if case.form == "basic":
        found = [conv(size, channels, channels, 3), conv(size, channels, channels, 3)]
        return [*found, stock("elementwise", size, channels, 1, 1, "ADD")], size, channels
    if case.form == "down":
        return [conv(size, channels, 2 * channels, 3, 2), conv(half, 2 * channels, 2 * channels, 3)], half, 2 * channels
    if case.form == "inverted":
        found = [conv(size, channels, wide, 1), _depthwise(size, wide, 1), conv(size, wide, channels, 1)]
        return [*found, stock("elementwise", size, channels, 1, 1, "ADD")], size, channels
    if case.form == "inverted_down":
        return [conv(size, channels, wide, 1), _depthwise(size, wide, 2), conv(half, wide, channels, 1)], half, channels
    if case.form == "bottleneck":
        narrow = max(8, channels // 4)
        found = [conv(size, channels, narrow, 1), conv(size, narrow, narrow, 3), conv(size, narrow, channels, 1)]
        return [*found, stock("elementwise", size, channels, 1, 1, "ADD")], size, channels
    if case.form == "pooled":
        pooling = stock("pooling", size, channels, 3, 2, "MAX_POOL_2D" if case.seed % 2 else "AVERAGE_POOL_2D")
        return [conv(size, channels, channels, 1), pooling, conv(half, channels, channels, 1)], half, channels
    return [conv(size, channels, wide, 1), stock("reduction", size, wide, 1, 1, "MEAN")], size, channels


def _convolution(layer: LayerSizes, seed: int) -> Piece:
    encoding, rows = PACKINGS[seed % len(PACKINGS)]
    weights = grouped_weights(layer, encoding, rows, SPARSITIES[seed % len(SPARSITIES)], seed)
    # Sums of products keep the size of what goes in, so that no image of a long chain fades away.
    weights *= np.float32(1 / np.sqrt(max(1.0, np.square(weights).sum(axis=1).mean())))
    packed = packed_shape(layer, weights, encoding, rows)
    return Piece(dense_model(layer, weights), sparse_model(layer, weights, encoding, rows), layer, packed)


def _depthwise(size: int, channels: int, stride: int) -> Piece:
    layer = LayerSizes("depthwise", size, size, channels, channels, 3, stride, 1)
    weights = np.random.default_rng(channels).normal(size=(channels, 9), scale=1 / 3).astype(np.float32)
    content = dense_model(layer, weights)
    return Piece(content, content)


def in_series(contents: Sequence[bytes], skips: Sequence[bool]) -> bytes:
    """One file of operators that each read what the one before wrote.

    Args:
        contents: files of one operator each.
        skips: whether an operator's second input is what its form was given: the output of the last such operator, or
            the file's input.
    """
    model, _ = read_model(contents[0])
    graph = model.subgraphs[0]
    given = flowing = int(graph.inputs[0])
    operators = []
    for place, (content, skip) in enumerate(zip(contents, skips, strict=True)):
        op, flowing = _appended(model, content, flowing, given if skip else flowing, first=place == 0)
        operators.append(op)
        given = flowing if skip else given
    graph.operators, graph.outputs = operators, np.array([flowing], np.int32)
    return write_model(model)


def _appended(model: Any, content: bytes, source: int, other: int, *, first: bool) -> tuple[Any, int]:
    """The operator of another file in this one: what it is, and its output."""
    part = model if first else read_model(content)[0]
    graph, (op,) = part.subgraphs[0], part.subgraphs[0].operators
    if first:
        return op, int(op.outputs[0])
    tensors, moved = model.subgraphs[0].tensors, {}
    read = int(graph.inputs[0])
    for index, tensor in enumerate(graph.tensors):
        if index == read:
            continue
        again = copy.copy(tensor)
        again.name = f"{len(tensors)}".encode()
        if tensor.buffer:
            model.buffers.append(AlignedBuffer(part.buffers[tensor.buffer].data, 64))
            again.buffer = len(model.buffers) - 1
        moved[index] = len(tensors)
        tensors.append(again)
    inputs = [moved.get(int(index), source) for index in op.inputs]
    reads = [place for place, index in enumerate(op.inputs) if int(index) == read]
    if len(reads) > 1:
        inputs[reads[1]] = other
    op.inputs, op.outputs = np.array(inputs, np.int32), np.array([moved[int(op.outputs[0])]], np.int32)
    model.operatorCodes.append(part.operatorCodes[op.opcodeIndex])
    op.opcodeIndex = len(model.operatorCodes) - 1
    return op, int(op.outputs[0])


def chain_models(case: ChainCase) -> tuple[bytes, bytes]:
    """The network, dense and sparse."""
    made = pieces(case)
    skips = [piece.skip for piece in made]
    return in_series([piece.dense for piece in made], skips), in_series([piece.sparse for piece in made], skips)
