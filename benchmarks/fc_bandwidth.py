# SPDX-License-Identifier: Apache-2.0
"""Fully-connected layers of batch 1 against the speed of memory: weights are read once, so nothing can be faster.

Run: ``python benchmarks/fc_bandwidth.py``. For each type of weights and group size it prints the time of one
inference, the time of reading a buffer of as many bytes as the packed weights (interleaved in the same run), and the
share of that bandwidth the op reaches. Both sides run on one thread.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

import tfprune as tp
from tfprune.converter import schema
from tfprune.formats import Encoding, Op, OpSpec, Quantization, encode

Matrix = npt.NDArray[Any]


def weights_of(size: int, rows: int, cols: int, sparsity: float, dtype: str) -> Matrix:
    """A square matrix that keeps ``1 - sparsity`` of its ``rows x cols`` blocks."""
    rng = np.random.default_rng(0)
    kept = rng.random((size // rows, size // cols)) >= sparsity
    mask = np.repeat(np.repeat(kept, rows, axis=0), cols, axis=1)
    if dtype == "int8":
        return (rng.integers(1, 128, (size, size)) * mask).astype(np.int8)
    return (rng.standard_normal((size, size)) * mask).astype(dtype)


def packed_layer(matrix: Matrix, rows: int, cols: int) -> Matrix:
    """The packed weights; int8 weights get float32 activations."""
    size = len(matrix)
    quantization = Quantization(np.full(size, 0.01, np.float32)) if matrix.dtype == np.int8 else None
    spec = OpSpec(Op.FULLY_CONNECTED, size, size)
    return encode(matrix, spec, Encoding.ROW_BAND, rows, cols, quantization=quantization)


def one_op_model(packed: Matrix, size: int) -> bytes:
    """A file with one ``TfpruneFullyConnected``, float32 activations, no bias."""
    model, graph = schema.tfl.ModelT(), schema.tfl.SubGraphT()
    op, opcode = schema.tfl.OperatorT(), schema.tfl.OperatorCodeT()
    model.version, model.description, model.buffers = 3, b"", [schema.AlignedBuffer()]
    types = {"uint8": schema.TensorType.UINT8, "int8": schema.TensorType.INT8}
    graph.tensors = []
    for shape, data in (((1, size), None), (packed.shape, packed), ((size, 1, 1), np.zeros((size, 1, 1), np.int8))):
        tensor = schema.tfl.TensorT()
        tensor.shape, tensor.name, tensor.buffer = np.array(shape, np.int32), b"", 0
        tensor.type = schema.TensorType.FLOAT32 if data is None else types[data.dtype.name]
        if data is not None:
            model.buffers.append(schema.AlignedBuffer(np.frombuffer(data.tobytes(), np.uint8), schema.OP_ALIGNMENT))
            tensor.buffer = len(model.buffers) - 1
        graph.tensors.append(tensor)
    output = schema.tfl.TensorT()
    output.shape, output.name, output.buffer = np.array((1, size), np.int32), b"", 0
    graph.tensors.append(output)
    graph.inputs, graph.outputs = np.array([0], np.int32), np.array([3], np.int32)
    op.opcodeIndex, op.inputs, op.outputs = 0, np.arange(3, dtype=np.int32), graph.outputs
    opcode.builtinCode, opcode.deprecatedBuiltinCode, opcode.version = schema.BuiltinOperator.CUSTOM, 32, 1
    opcode.customCode = b"TfpruneFullyConnected"
    graph.operators, model.operatorCodes, model.subgraphs = [op], [opcode], [graph]
    return schema.write_model(model)


def medians(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of each call, interleaved."""
    samples: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, kept in zip(calls, samples, strict=True):
            start = time.perf_counter()
            call()
            kept.append(time.perf_counter() - start)
    return [statistics.median(kept) for kept in samples]


def measure(size: int, rows: int, cols: int, sparsity: float, dtype: str, rounds: int) -> str:
    """One line of the table."""
    packed = packed_layer(weights_of(size, rows, cols, sparsity, dtype), rows, cols)
    model = one_op_model(packed, size)
    interpreter = Interpreter(model_content=model, num_threads=1, experimental_delegates=[tp.delegate()])
    interpreter.allocate_tensors()
    x = np.random.default_rng(1).standard_normal((1, size)).astype(np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    buffer = np.random.default_rng(2).integers(0, 2**62, len(packed) // 8)
    # The largest number of a contiguous array: one vectorised pass that does nothing but read.
    op, read = medians([interpreter.invoke, buffer.max], rounds)
    rate = len(packed) / op / 1e9
    return (
        f"{dtype:8} {rows:3} x {cols}  {len(packed) / 2**20:6.2f} MiB  op {op * 1e3:7.3f} ms ({rate:5.1f} GB/s)  "
        f"read {read * 1e3:7.3f} ms  share {read / op:5.2f}"
    )


def main() -> int:
    """Prints the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="rows and columns of the matrix")
    parser.add_argument("--sparsity", type=float, default=0.75)
    parser.add_argument("--rounds", type=int, default=41)
    arguments = parser.parse_args()
    for dtype in ("float32", "float16", "int8"):
        for rows, cols in ((16, 1), (4, 1), (16, 4), (4, 4)):
            print(measure(arguments.size, rows, cols, arguments.sparsity, dtype, arguments.rounds), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
