# SPDX-License-Identifier: Apache-2.0
"""One-layer ``.tflite`` files, dense and with a tfprune op, written without the converter."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from tests.models.builder import model_file
from tfprune.formats import Activation, Encoding, Op, OpSpec, Padding, encode
from tfprune.formats.header_checks import most_group_rows

Array = npt.NDArray[Any]
_TYPES = {"f": schema.TensorType.FLOAT32, "u": schema.TensorType.UINT8, "i": schema.TensorType.INT8}


@dataclasses.dataclass(frozen=True)
class TinyLayer:
    """A layer with its weights: what both files compute."""

    spec: OpSpec
    matrix: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32] | None
    input_shape: tuple[int, ...]

    def dense(self, *, signature: bool = True, open_batch: bool = True) -> bytes:
        """The file with a stock op."""
        spec = self.spec
        builder = _Builder(self)
        if spec.op == Op.CONV_2D:
            weights = self.matrix.reshape(spec.out_channels, spec.kernel_h, spec.kernel_w, spec.in_channels)
            options: Any = schema.Conv2DOptionsT()
            options.padding = int(spec.padding)
            options.strideH, options.strideW = spec.stride_h, spec.stride_w
            options.dilationHFactor, options.dilationWFactor = spec.dilation_h, spec.dilation_w
            code, kind = schema.BuiltinOperator.CONV_2D, schema.BuiltinOptions.Conv2DOptions
        else:
            weights = self.matrix
            options = schema.FullyConnectedOptionsT()
            options.keepNumDims = spec.keep_num_dims
            code, kind = schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOptions.FullyConnectedOptions
        options.fusedActivationFunction = int(spec.activation)
        # LiteRT's convolution wants a bias; a fully-connected op may lack it.
        bias = self.bias if self.bias is not None else np.zeros(spec.out_channels, np.float32)
        builder.operator([weights, bias], code, None, kind, options)
        return builder.finish(signature, open_batch)

    def packed(self, encoding: Encoding = Encoding.ROW_BAND, rows: int = 4) -> npt.NDArray[np.uint8]:
        """The packed weights."""
        return encode(self.matrix, self.spec, encoding, min(rows, most_group_rows(encoding, self.spec.out_channels)))

    def sparse(self, packed: Array | None = None, *, signature: bool = True, open_batch: bool = True) -> bytes:
        """The file with a tfprune op."""
        spec = self.spec
        name = "TfpruneConv2D" if spec.op == Op.CONV_2D else "TfpruneFullyConnected"
        geometry = [spec.out_channels, 1, 1 + spec.keep_num_dims]
        if spec.op == Op.CONV_2D:
            extents = [(spec.kernel_h - 1) * spec.dilation_h + 1, (spec.kernel_w - 1) * spec.dilation_w + 1]
            if spec.padding == Padding.SAME:
                extents = [1, 1]
            geometry = [spec.out_channels, spec.stride_h, spec.stride_w, *extents]
        builder = _Builder(self)
        constants = [self.packed() if packed is None else packed, np.zeros(geometry, np.int8)]
        if self.bias is not None:
            constants.append(self.bias)
        builder.operator(constants, schema.BuiltinOperator.CUSTOM, name, 0, None)
        return builder.finish(signature, open_batch)


def conv_layer(
    seed: int = 0,
    *,
    out_channels: int = 16,
    in_channels: int = 8,
    kernel: int = 3,
    size: int = 7,
    stride: int = 1,
    padding: Padding = Padding.SAME,
    activation: Activation = Activation.RELU,
) -> TinyLayer:
    """A convolution, three quarters of whose bands of four rows are zero."""
    spec = OpSpec(
        Op.CONV_2D,
        out_channels,
        in_channels,
        kernel,
        kernel,
        stride,
        stride,
        padding=padding,
        activation=activation,
    )
    return _layer(spec, seed, (1, size, size, in_channels))


def dense_layer(seed: int = 0, *, out_channels: int = 16, in_channels: int = 24) -> TinyLayer:
    """A fully-connected layer, three quarters of whose bands of four rows are zero."""
    return _layer(OpSpec(Op.FULLY_CONNECTED, out_channels, in_channels), seed, (1, in_channels))


def _layer(spec: OpSpec, seed: int, input_shape: tuple[int, ...]) -> TinyLayer:
    rng = np.random.default_rng(seed)
    kept = np.repeat(rng.random((-(-spec.out_channels // 4), spec.columns)) < 0.25, 4, axis=0)[: spec.out_channels]
    matrix = (rng.standard_normal((spec.out_channels, spec.columns)) * kept).astype(np.float32)
    return TinyLayer(spec, matrix, rng.standard_normal(spec.out_channels).astype(np.float32), input_shape)


class _Builder:
    def __init__(self, layer: TinyLayer) -> None:
        spec = layer.spec
        self._input_shape = layer.input_shape
        self._output_shape = [1, spec.out_channels]
        if spec.op == Op.CONV_2D:
            # Only a placeholder: LiteRT computes output shapes itself.
            self._output_shape = [1, 1, 1, spec.out_channels]
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.description = "tiny test model"
        self._model.buffers = [schema.BufferT()]
        self._graph = schema.SubGraphT()
        self._graph.tensors = []

    def operator(self, constants: list[Array], code: int, name: str | None, kind: int, options: Any) -> None:
        self._tensor("x", schema.TensorType.FLOAT32, list(self._input_shape), None)
        for place, value in enumerate(constants):
            self._tensor(f"constant_{place}", _TYPES[value.dtype.kind], list(value.shape), value)
        self._tensor("y", schema.TensorType.FLOAT32, self._output_shape, None)
        operator_code = schema.OperatorCodeT()
        operator_code.builtinCode = code
        operator_code.deprecatedBuiltinCode = min(code, 127)
        operator_code.customCode = name
        operator_code.version = 1
        operator = schema.OperatorT()
        operator.opcodeIndex = 0
        operator.inputs = list(range(len(constants) + 1))
        operator.outputs = [len(constants) + 1]
        operator.builtinOptionsType = kind
        operator.builtinOptions = options
        self._model.operatorCodes = [operator_code]
        self._graph.operators = [operator]
        self._graph.inputs, self._graph.outputs = [0], operator.outputs

    def finish(self, signature: bool, open_batch: bool) -> bytes:
        tensors = self._graph.tensors
        if open_batch:
            for tensor in (tensors[0], tensors[-1]):
                tensor.shapeSignature = [-1, *tensor.shape[1:]]
        if signature:
            entry = schema.SignatureDefT()
            entry.signatureKey = "serving_default"
            entry.subgraphIndex = 0
            entry.inputs, entry.outputs = [_mapping("image", 0)], [_mapping("scores", len(tensors) - 1)]
            self._model.signatureDefs = [entry]
        self._model.subgraphs = [self._graph]
        return model_file(self._model)

    def _tensor(self, name: str, kind: int, shape: list[int], value: Array | None) -> None:
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape, tensor.buffer = name, kind, shape, 0
        if value is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
            self._model.buffers.append(buffer)
            tensor.buffer = len(self._model.buffers) - 1
        self._graph.tensors.append(tensor)


def _mapping(name: str, tensor: int) -> Any:
    mapping = schema.TensorMapT()
    mapping.name, mapping.tensorIndex = name, tensor
    return mapping
