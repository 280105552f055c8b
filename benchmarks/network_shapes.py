# SPDX-License-Identifier: Apache-2.0
"""Writes the layers of the measured networks to ``benchmarks/shapes``, read off the Keras models.

python benchmarks/network_shapes.py
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from measure import FOLDER
from pruned_networks import IMAGE_SIZE, NETWORKS
from tfprune.mapping.profiling.layer_sizes import LayerSizes

HEADER = """\
# Convolutions and fully-connected layers of {name} at 224 px, each written once, in the order of the network:
# kind, input rows, columns, channels, output channels, kernel, stride, batch, how often. Padding is SAME.
# Made by benchmarks/network_shapes.py.
"""


def layers_of(model: Any) -> dict[LayerSizes, int]:
    """Every different layer of a Keras model and how often it occurs, in the model's order."""
    import keras

    found: Counter[LayerSizes] = Counter()
    for item in model.layers:
        if isinstance(item, keras.layers.Dense):
            inputs, outputs = item.kernel.shape
            found[LayerSizes("fc", 1, 1, inputs, outputs, 1, 1, 1)] += 1
        elif isinstance(item, keras.layers.DepthwiseConv2D | keras.layers.Conv2D):
            found[_convolution(item, isinstance(item, keras.layers.DepthwiseConv2D))] += 1
    return dict(found)


def _convolution(item: Any, depthwise: bool) -> LayerSizes:
    _, height, width, out_channels = item.output.shape
    _, input_rows, input_columns, in_channels = item.input.shape
    stride, kernel = item.strides[0], item.kernel.shape[0]
    # Where a ZeroPadding2D stands before a VALID convolution, the two are one SAME convolution of the unpadded input.
    rows, columns = (
        size * stride if item.padding == "valid" else given
        for size, given in ((height, input_rows), (width, input_columns))
    )
    layer = LayerSizes(
        "depthwise" if depthwise else "conv", rows, columns, in_channels, out_channels, kernel, stride, 1
    )
    if layer.out_shape != (1, height, width, out_channels):
        raise SystemExit(f"{item.name}: a SAME convolution of {layer} has outputs {layer.out_shape}, not {item.output}")
    return layer


def shapes_file(name: str) -> str:
    """The text of a network's file."""
    lines = [
        " ".join(str(field) for field in (*layer.fields(), count))
        for layer, count in layers_of(NETWORKS[name](IMAGE_SIZE)).items()
    ]
    return HEADER.format(name=name) + "\n".join(lines) + "\n"


@click.command()
@click.option("--folder", default=FOLDER / "shapes", type=Path, show_default=True)
def main(folder: Path) -> None:
    """Writes one file a network."""
    for name in NETWORKS:
        (folder / f"{name}.txt").write_text(shapes_file(name))


if __name__ == "__main__":
    main()
