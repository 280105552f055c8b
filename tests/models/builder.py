# SPDX-License-Identifier: Apache-2.0
"""A small builder of ``.tflite`` files: tensors, operators, subgraphs, signatures and metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl

SAME, VALID = 0, 1
NONE, RELU, RELU6, TANH = 0, 1, 3, 4
_TYPES = {
    "float32": tfl.TensorType.FLOAT32,
    "float16": tfl.TensorType.FLOAT16,
    "int8": tfl.TensorType.INT8,
    "uint8": tfl.TensorType.UINT8,
    "int16": tfl.TensorType.INT16,
    "int32": tfl.TensorType.INT32,
    "int64": tfl.TensorType.INT64,
    "bool": tfl.TensorType.BOOL,
}


def pruned(shape: Sequence[int], sparsity: float = 0.8, rows: int = 4, seed: int = 0) -> np.ndarray:
    """Random float32 weights, output channels first, zeros in groups of ``rows`` output channels."""
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((shape[0], int(np.prod(shape[1:])))).astype(np.float32)
    keep = rng.random((-(-shape[0] // rows), matrix.shape[1])) >= sparsity
    return (matrix * np.repeat(keep, rows, axis=0)[: shape[0]]).reshape(shape).astype(np.float32)


def model_file(model: Any) -> bytes:
    """A ``ModelT`` as the bytes of a file."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


class ModelBuilder:
    """Collects a model; every method that adds something returns its index."""

    def __init__(self) -> None:
        self.model = tfl.ModelT()
        self.model.version = 3
        self.model.description = "tiny"
        self.model.operatorCodes = []
        self.model.subgraphs = []
        self.model.buffers = [tfl.BufferT()]
        self.model.metadata = []
        self.model.signatureDefs = []
        self.subgraph()

    def subgraph(self) -> int:
        graph = tfl.SubGraphT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
        graph.name = f"graph{len(self.model.subgraphs)}"
        self.model.subgraphs.append(graph)
        return len(self.model.subgraphs) - 1

    def buffer(self, data: np.ndarray) -> int:
        buffer = tfl.BufferT()
        buffer.data = np.frombuffer(data.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str = "float32",
        buffer: int = 0,
        batch: bool = False,
        graph: int = 0,
    ) -> int:
        tensor = tfl.TensorT()
        tensor.name, tensor.type, tensor.buffer = name, _TYPES[dtype], buffer
        tensor.shape = np.array(shape, np.int32)
        tensor.hasRank = True
        if batch:
            tensor.shapeSignature = np.array([-1, *shape[1:]], np.int32)
        self.model.subgraphs[graph].tensors.append(tensor)
        return len(self.model.subgraphs[graph].tensors) - 1

    def constant(self, name: str, values: np.ndarray, graph: int = 0) -> int:
        return self.tensor(name, values.shape, str(values.dtype), self.buffer(values), graph=graph)

    def opcode(self, number: int, custom: str | None = None, version: int = 1) -> int:
        code = tfl.OperatorCodeT()
        code.builtinCode = number
        code.deprecatedBuiltinCode = min(number, 127)
        code.customCode, code.version = custom, version
        for index, known in enumerate(self.model.operatorCodes):
            if (known.builtinCode, known.customCode, known.version) == (number, custom, version):
                return index
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def operator(
        self,
        opcode: int,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Any = None,
        kind: int = 0,
        graph: int = 0,
    ) -> int:
        op = tfl.OperatorT()
        op.opcodeIndex = opcode
        op.inputs, op.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        op.builtinOptions, op.builtinOptionsType = options, kind
        self.model.subgraphs[graph].operators.append(op)
        return len(self.model.subgraphs[graph].operators) - 1

    def conv_2d(
        self,
        x: int,
        weights: np.ndarray | int,
        bias: np.ndarray | None = None,
        *,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: int = SAME,
        activation: int = NONE,
        name: str = "conv",
        graph: int = 0,
    ) -> int:
        """Adds a convolution; returns its output tensor."""
        tensors = self.model.subgraphs[graph].tensors
        filter_index = weights if isinstance(weights, int) else self.constant(f"{name}/kernel", weights, graph)
        kernel = tensors[filter_index].shape
        n, *sizes, _ = (int(size) for size in tensors[x].shape)
        out = [
            -(-size // s) if padding == SAME else (size - (k - 1) * d - 1) // s + 1
            for size, s, k, d in zip(sizes, stride, kernel[1:3], dilation, strict=True)
        ]
        y = self.tensor(name, [n, *out, int(kernel[0])], graph=graph, batch=tensors[x].shapeSignature is not None)
        options = tfl.Conv2DOptionsT()
        options.padding, options.fusedActivationFunction = padding, activation
        options.strideH, options.strideW = stride
        options.dilationHFactor, options.dilationWFactor = dilation
        inputs = [x, filter_index, *([] if bias is None else [self.constant(f"{name}/bias", bias, graph)])]
        opcode = self.opcode(tfl.BuiltinOperator.CONV_2D)
        self.operator(opcode, inputs, [y], options, tfl.BuiltinOptions.Conv2DOptions, graph)
        return y

    def fully_connected(
        self,
        x: int,
        weights: np.ndarray | int,
        bias: np.ndarray | None = None,
        *,
        activation: int = NONE,
        keep_num_dims: bool = False,
        weights_format: int = 0,
        name: str = "dense",
        graph: int = 0,
    ) -> int:
        """Adds a fully-connected operator; returns its output tensor."""
        tensors = self.model.subgraphs[graph].tensors
        filter_index = weights if isinstance(weights, int) else self.constant(f"{name}/kernel", weights, graph)
        out_channels, features = (int(size) for size in tensors[filter_index].shape)
        shape = [int(size) for size in tensors[x].shape]
        others = shape[:-1] if keep_num_dims else [int(np.prod(shape)) // features]
        y = self.tensor(name, [*others, out_channels], graph=graph, batch=tensors[x].shapeSignature is not None)
        options = tfl.FullyConnectedOptionsT()
        options.fusedActivationFunction, options.keepNumDims = activation, keep_num_dims
        options.weightsFormat = weights_format
        inputs = [x, filter_index, *([] if bias is None else [self.constant(f"{name}/bias", bias, graph)])]
        opcode = self.opcode(
            tfl.BuiltinOperator.FULLY_CONNECTED, version=6 if bias is None else 5 if keep_num_dims else 1
        )
        self.operator(opcode, inputs, [y], options, tfl.BuiltinOptions.FullyConnectedOptions, graph)
        return y

    def io(self, inputs: Sequence[int], outputs: Sequence[int], graph: int = 0) -> None:
        self.model.subgraphs[graph].inputs = np.array(inputs, np.int32)
        self.model.subgraphs[graph].outputs = np.array(outputs, np.int32)

    def signature(self, key: str, inputs: dict[str, int], outputs: dict[str, int], graph: int = 0) -> None:
        signature = tfl.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = key, graph
        signature.inputs, signature.outputs = [], []
        for entries, tensors in ((signature.inputs, inputs), (signature.outputs, outputs)):
            for name, index in tensors.items():
                entry = tfl.TensorMapT()
                entry.name, entry.tensorIndex = name, index
                entries.append(entry)
        self.model.signatureDefs.append(signature)

    def metadata(self, name: str, content: bytes) -> None:
        entry = tfl.MetadataT()
        entry.name, entry.buffer = name, self.buffer(np.frombuffer(content, np.uint8))
        self.model.metadata.append(entry)

    def build(self) -> bytes:
        return model_file(self.model)

    def build_with_outside_buffers(self) -> bytes:
        """The same model with every buffer's data behind the FlatBuffer, found by offset and size."""
        data = {index: bytes(buffer.data) for index, buffer in enumerate(self.model.buffers) if buffer.data is not None}
        for index, content in data.items():
            buffer = self.model.buffers[index]
            # Any offset above 1 fixes the size of the table, so that the second writing has the same layout.
            buffer.data, buffer.offset, buffer.size = None, 2, len(content)
        start = -(-len(self.build()) // 16) * 16
        tail = b""
        for index, content in data.items():
            self.model.buffers[index].offset = start + len(tail)
            tail += content + bytes(-len(content) % 16)
        head = self.build()
        return head + bytes(start - len(head)) + tail


def conv_model(
    weights: np.ndarray, bias: np.ndarray | None = None, size: tuple[int, int, int] = (1, 8, 8), **options: Any
) -> bytes:
    """One convolution on ``[N, H, W, C]``."""
    builder = ModelBuilder()
    x = builder.tensor("x", [*size, weights.shape[3]])
    y = builder.conv_2d(x, weights, bias, **options)
    builder.io([x], [y])
    return builder.build()


def fully_connected_model(
    weights: np.ndarray, bias: np.ndarray | None = None, shape: Sequence[int] | None = None, **options: Any
) -> bytes:
    """One fully-connected operator."""
    builder = ModelBuilder()
    x = builder.tensor("x", shape or [1, weights.shape[1]])
    y = builder.fully_connected(x, weights, bias, **options)
    builder.io([x], [y])
    return builder.build()
