# SPDX-License-Identifier: Apache-2.0
"""What the Android demo app measures for a latency profile: files of layers, and what a packaged table says of them.

``tfprune profile`` grows its sample as its fit goes on; an app has no fit. It measures a fixed sample and scales the
packaged table ``arm64`` to the device, part by part: each kind of layer, dense and sparse, and each other operator, by
what they take there over what the table predicts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from itertools import islice
from typing import Any

import keras

import tfprune as tp
from tfprune.costs import load_table
from tfprune.costs.predict import predict_dense, predict_sparse, stock_time
from tfprune.costs.table import CHAIN_OPS, KINDS, STOCK_OPS
from tfprune.mapping.profiling.layer_sizes import LayerSizes, read_layers
from tfprune.mapping.profiling.model_shapes import ModelShapes, model_shapes
from tfprune.mapping.profiling.op_row import in_a_row, row_length
from tfprune.mapping.profiling.samples import LEAST_SHARE, TINY, Case, case_models, case_shape
from tfprune.mapping.profiling.shape_files import SHAPES
from tfprune.mapping.profiling.stock_ops import stock_model
from tfprune.mapping.profiling.stock_sizes import SPARSE, StockLayer, read_stock_layers

FORMAT = 1
TABLE = "arm64"
PRECISION = "float32"
#: Layers of a kind, at most; of other operators half as many of each name.
LAYERS_OF_A_KIND = 6
#: Larger ones are left out: the files travel in the app. Of smaller ones the call of the model is most of the time.
MOST_WEIGHTS = 300_000
LEAST_MACS = 50_000
MOST_BYTES = 1_500_000
#: Encodings and their rows, and sparsities, which layers have in turn.
ENCODINGS = (("sliding_row", 4), ("row_band", 4), ("block_rows", 8), ("row_band", 1))
SPARSITIES = (0.7, 0.8, 0.9)

#: Writes a file of a name and returns its entry.
Write = Callable[[str, bytes], dict[str, Any]]


def profile_plan(model: keras.Model, layers: int, write: Write) -> dict[str, Any]:
    """Writes the files and returns what ``profile.json`` says of them.

    Args:
        model: whose layers come first.
        layers: of each kind, at most.
        write: writes a file.
    """
    shapes = model_shapes(model)
    content = json.loads((resources.files("tfprune.costs") / "tables" / f"{TABLE}.json").read_text("utf-8"))
    content["precisions"] = {PRECISION: content["precisions"][PRECISION]}
    return {
        "format": FORMAT,
        "tfprune": tp.__version__,
        "precision": PRECISION,
        "least_share": LEAST_SHARE,
        "chain_operators": list(CHAIN_OPS),
        "table": content,
        "call": _operator(TINY, write),
        "layers": [_layer(case, write) for case in _cases(shapes, layers)],
        "operators": [_operator(layer, write) for layer in _operators(shapes, layers // 2)],
    }


def _cases(shapes: ModelShapes, count: int) -> Iterator[Case]:
    """So many layers of each kind, the model's own first."""
    every = [layer for layer in dict.fromkeys((*shapes.layers, *read_layers(SHAPES / "layers.txt"))) if _fits(layer)]
    seed = 0
    for kind in KINDS:
        for layer in _spread([layer for layer in every if layer.costs(PRECISION).kind == kind], count):
            encoding, rows = ENCODINGS[seed % len(ENCODINGS)]
            yield Case(layer, PRECISION, encoding, rows, 1, SPARSITIES[seed % len(SPARSITIES)], seed)
            seed += 1


def _fits(layer: LayerSizes) -> bool:
    most_rows = max(rows for _, rows in ENCODINGS)
    weights = layer.out_channels * layer.columns
    return layer.out_channels >= most_rows and weights <= MOST_WEIGHTS and layer.macs >= LEAST_MACS


def _spread(layers: Sequence[LayerSizes], count: int) -> Iterator[LayerSizes]:
    """At most so many, evenly from the smallest to the largest."""
    ordered = sorted(layers, key=lambda layer: layer.macs)
    taken = min(count, len(ordered))
    return (ordered[place * (len(ordered) - 1) // max(1, taken - 1)] for place in range(taken))


def _operators(shapes: ModelShapes, count: int) -> Iterator[StockLayer]:
    """So many of each name whose files are small enough, the model's own first."""
    every = dict.fromkeys((*shapes.stock_layers, *read_stock_layers(SHAPES / "stock_ops.txt")))
    for name in STOCK_OPS:
        if name not in (*CHAIN_OPS, *SPARSE):
            fitting = (layer for layer in every if layer.name == name and len(_row(layer)) <= MOST_BYTES)
            yield from islice(fitting, count)


def _row(layer: StockLayer) -> bytes:
    return in_a_row(stock_model(layer, PRECISION))


def _layer(case: Case, write: Write) -> dict[str, Any]:
    table, sizes = load_table(TABLE), case.layer.costs(PRECISION)
    dense, sparse = case_models(case)
    stem = f"layer_{case.seed:02}"
    return {
        "name": f"{case.layer}, {case.sparsity:.0%} zeros",
        "kind": sizes.kind,
        "dense": {**write(f"{stem}_dense.tflite", dense), "predicted": predict_dense(table, sizes)},
        "sparse": {
            **write(f"{stem}_sparse.tflite", sparse),
            "predicted": predict_sparse(table, sizes, case_shape(case)),
        },
    }


def _operator(layer: StockLayer, write: Write) -> dict[str, Any]:
    one = stock_model(layer, PRECISION)
    stem = "operator_" + "".join(letter if letter.isalnum() else "_" for letter in str(layer))
    return {
        "name": str(layer),
        "operator": layer.name,
        "count": row_length(layer.in_shape, layer.out_shape),
        "predicted": stock_time(load_table(TABLE).stock_op(PRECISION, layer.name), layer.costs()),
        "one": write(f"{stem}_one.tflite", one),
        "row": write(f"{stem}_row.tflite", in_a_row(one)),
    }
