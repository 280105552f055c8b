# SPDX-License-Identifier: Apache-2.0
"""What constant channels cost the int8 files of trainings.

    python benchmarks/int8_constants.py build/accuracy/257896ce60fd build/accuracy/bb413b02740c

takes folders of ``accuracy_study.py``, and prints the accuracy in LiteRT on Fashion-MNIST's test images of the float32
file, of the int8 file, and of the int8 file with **exact constants**: where a convolution's channel is the same number
``c`` at every pixel of 64 images although it has weights, these become 0 and its bias ``c / (s_x s_w)``, where ``s_x``
is the scale of its input and ``s_w`` that of the channel's weights. All else stays as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from accuracy.data_sets import load
from accuracy.deployed import accuracy
from accuracy.point import DataSpec
from accuracy.report import table
from int8_errors import Array, content_of, is_constant, outputs, test_images
from tfprune.converter.schema import AlignedBuffer, read_model, write_model

_HEADS = ["training", "float32", "int8", "channels", "int8 with exact constants"]


def with_exact_constants(rounded: bytes, exact: list[Array]) -> tuple[bytes, int]:
    """An int8 file whose constant channels have no weights, and how many there are.

    Args:
        rounded: the int8 file.
        exact: what the convolutions of the float32 file make of some images, in their order.
    """
    model, _ = read_model(rounded)
    (graph,) = model.subgraphs
    codes = [code.builtinCode for code in model.operatorCodes]
    convolutions = [op for op in graph.operators if codes[op.opcodeIndex] == tfl.BuiltinOperator.CONV_2D]
    count = 0
    for op, values in zip(convolutions, exact, strict=True):
        image, weights, bias = (graph.tensors[index] for index in op.inputs)
        numbers = _array(model, weights).reshape(weights.shape)
        changed = np.flatnonzero(is_constant(values) & numbers.any(axis=(1, 2, 3)))
        if not changed.size:
            continue
        scales = np.broadcast_to(image.quantization.scale[0] * weights.quantization.scale, len(numbers))
        biases = _array(model, bias, np.int32)
        numbers[changed] = 0
        biases[changed] = np.rint(values[0, 0, 0, changed] / scales[changed])
        _replace(model, weights, numbers)
        _replace(model, bias, biases)
        count += changed.size
    return write_model(model), count


def _array(model: Any, tensor: Any, dtype: type = np.int8) -> Array:
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype).copy()


def _replace(model: Any, tensor: Any, values: Array) -> None:
    """In a buffer of its own: tensors may share one."""
    model.buffers.append(AlignedBuffer(np.frombuffer(values.tobytes(), np.uint8)))
    tensor.buffer = len(model.buffers) - 1


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
def main(folders: tuple[Path, ...]) -> None:
    """Measures the files of FOLDERS."""
    images, data = test_images(), load(DataSpec("fashion_mnist"))
    lines = []
    for folder in folders:
        single, rounded = (content_of(folder, name) for name in ("float32", "int8"))
        exact = [each.values for each in outputs(single, images) if each.op == "CONV_2D"]
        changed, count = with_exact_constants(rounded, exact)
        found = [f"{accuracy(content, data):.2%}" for content in (single, rounded, changed)]
        lines.append([folder.name, *found[:2], str(count), found[2]])
    click.echo(table(_HEADS, lines))


if __name__ == "__main__":
    main()
