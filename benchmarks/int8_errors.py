# SPDX-License-Identifier: Apache-2.0
"""Where the errors of int8 files come from: each operator's output in the float32 and in the int8 file of a training.

    python benchmarks/int8_errors.py build/accuracy/29a1cb4b602f build/accuracy/f4531a9ec62b
    python benchmarks/int8_errors.py build/accuracy/257896ce60fd --first 6

takes folders of ``accuracy_study.py`` (column ``key`` of its table), runs both files without tfprune's ops on images of
Fashion-MNIST's test set, and prints for the operators of a ResNet's last stage and behind it, or for the first ones

- the largest weight ``max |W|`` of the float32 file, batch normalization included;
- the signal to noise ratio in decibels, ``10 log10(sum y^2 / sum (y8 - y)^2)``, of the float32 output ``y`` and the
  int8 one ``y8``;
- the share of ``sum (y8 - y)^2`` that is the same at all pixels of all images: what no averaging takes away;
- the share of that sum in the channel that has most of it;
- the share of channels that are constant, as those of pruned filters are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import tfprune as tp
from accuracy.data_sets import load
from accuracy.point import DataSpec
from accuracy.report import table
from tfprune.errors import TfpruneError

_HEADS = [
    "operator",
    "output",
    "largest weight",
    "signal to noise, dB",
    "error common to all pixels",
    "error in one channel",
    "constant channels",
]
_LAST = 11  # three blocks, the mean and the classifier
_IMAGES = 64
_CONSTANT = 1e-6
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

Array = npt.NDArray[Any]


class Output(NamedTuple):
    """What an operator wrote, and its weights; None for one without."""

    op: str
    values: Array
    weights: Array | None = None


def test_images() -> Array:
    """Of Fashion-MNIST."""
    images, _ = next(iter(load(DataSpec("fashion_mnist")).test()))
    return images[:_IMAGES]


def content_of(folder: Path, name: str) -> bytes:
    """A file of a training, without tfprune's ops.

    Raises:
        ClickException: it is not there, or no ``.tflite`` file.
    """
    path = folder / f"{name}.tflite"
    if not path.exists():
        raise click.ClickException(
            f"`{path}`: must be there; the repository has no such files, train them: docs/accuracy.md, How to repeat it"
        )
    try:
        return tp.convert(path.read_bytes(), target="dense").tflite
    except TfpruneError as error:
        raise click.ClickException(f"`{path}`: must be a .tflite file: {error}") from error


def outputs(content: bytes, images: Array) -> list[Output]:
    """What each operator of a file makes of the images, as float32."""
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    (given,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(given["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], _stored(images, given))
    interpreter.invoke()
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    return [
        Output(op["op_name"], _read(interpreter.get_tensor(index), tensors[index]), _weights(interpreter, op))
        for op in interpreter._get_ops_details()
        for index in op["outputs"]
        if op["op_name"] not in ("QUANTIZE", "DEQUANTIZE")
    ]


def _weights(interpreter: Interpreter, op: dict[str, Any]) -> Array | None:
    return interpreter.get_tensor(op["inputs"][1]) if op["op_name"] in _WEIGHTED else None


def _stored(values: Array, tensor: dict[str, Any]) -> Array:
    if tensor["dtype"] != np.int8:
        return values
    scale, zero_point = tensor["quantization"]
    stored: Array = np.clip(np.rint(values / scale) + zero_point, -128, 127).astype(np.int8)
    return stored


def _read(values: Array, tensor: dict[str, Any]) -> Array:
    scale, zero_point = tensor["quantization"]
    return (values.astype(np.float32) - zero_point) * scale if values.dtype == np.int8 else values


def is_constant(values: Array) -> Array:
    """Of each channel."""
    found: Array = np.ptp(values, axis=tuple(range(values.ndim - 1))) < _CONSTANT
    return found


def line(exact: Output, rounded: Output) -> list[str]:
    """The cells of an operator."""
    error = rounded.values - exact.values
    pixels = tuple(range(error.ndim - 1))
    common = error.mean(axis=pixels)
    of_channels = (error**2).mean(axis=pixels)
    energy = float(of_channels.mean())
    return [
        exact.op,
        "x".join(map(str, exact.values.shape[1:])),
        "-" if exact.weights is None else f"{np.abs(exact.weights).max():.1f}",
        f"{10 * np.log10(float((exact.values**2).mean()) / energy):.1f}" if energy else "inf",
        f"{float((common**2).mean()) / energy:.0%}" if energy else "-",
        f"{float(of_channels.max() / of_channels.sum()):.0%}" if energy else "-",
        f"{float(is_constant(exact.values).mean()):.0%}",
    ]


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--first", type=click.IntRange(min=1), help="So many operators from the start, not the last ones.")
def main(folders: tuple[Path, ...], first: int | None) -> None:
    """Compares the files of FOLDERS."""
    images = test_images()
    for folder in folders:
        exact, rounded = (outputs(content_of(folder, name), images) for name in ("float32", "int8"))
        if [each.values.shape for each in exact] != [each.values.shape for each in rounded]:
            raise click.ClickException(f"`{folder}`: both files must have the same operators, they have not")
        pairs = list(zip(exact, rounded, strict=True))[slice(-_LAST, None) if first is None else slice(first)]
        click.echo(f"{folder}\n\n{table(_HEADS, [line(*pair) for pair in pairs])}\n")


if __name__ == "__main__":
    main()
