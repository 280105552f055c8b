# SPDX-License-Identifier: Apache-2.0
"""What the demo found out, as tables: the same rows go to the terminal and into the report."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from fashion.evaluation import TOLERANCE, Comparison
from fashion.training import SPARSITY, History
from tfprune.converter.layer_timing import LayerTiming

Rows = list[list[str]]

# The number after the layer's name is TensorFlow's, to tell traces of a model apart.
_CONVOLUTION = re.compile(r"([^/;]+?)(?:_\d+)?/convolution")

SUMMARY_HEADERS = ("", "dense", "pruned", "ratio")
# The converter's reason codes in the words of the table; the sentences below it say more.
_REASONS = {"no_zeros": "was not pruned", "too_slow": "would not gain"}
# Quartiles of a quiet machine lie a few percent apart.
_BUSY = 1.5
LAYER_HEADERS = ("layer", "weights", "zeros", "dense ms", "sparse ms", "measured", "predicted", "verdict")


@dataclasses.dataclass(frozen=True)
class Accuracies:
    """Shares of the test images that are answered right."""

    keras_dense: float
    keras_pruned: float
    dense_tflite: float
    sparse_tflite: float


@dataclasses.dataclass(frozen=True)
class Results:
    """Everything the tables and pictures show.

    Attributes:
        options: the command's options by name.
        accuracies: of the four models.
        comparison: the sparse against the dense file, image by image.
        benchmark: the report of ``tp.benchmark(dense, sparse)``.
        conversion: the converter's report.
        timings: each layer alone.
        pruning: the pruning callback's report.
        history: accuracy and sparsity over steps.
        source: where the data came from.
        seconds: time of each part by name.
    """

    options: dict[str, Any]
    accuracies: Accuracies
    comparison: Comparison
    benchmark: Any
    conversion: Any
    timings: tuple[LayerTiming, ...]
    pruning: Any
    history: History
    source: str
    seconds: dict[str, float]

    def summary_rows(self) -> Rows:
        """Accuracy, sizes and latency, dense beside pruned."""
        accuracy = self.accuracies
        dense, sparse = self.benchmark.timings
        return [
            [
                "accuracy, Keras",
                f"{accuracy.keras_dense:.2%}",
                f"{accuracy.keras_pruned:.2%}",
                f"{100 * (accuracy.keras_pruned - accuracy.keras_dense):+.2f} points",
            ],
            [
                "accuracy, .tflite of the pruned network",
                f"{accuracy.dense_tflite:.2%}",
                f"{accuracy.sparse_tflite:.2%}",
                f"{100 * (accuracy.sparse_tflite - accuracy.dense_tflite):+.2f} points",
            ],
            ["file size, bytes", f"{dense.size:,}", f"{sparse.size:,}", f"{sparse.size / dense.size:.0%}"],
            [
                "latency, 1 thread, ms",
                f"{dense.milliseconds:.3f}",
                f"{sparse.milliseconds:.3f}",
                f"{sparse.speedup:.2f}x faster" if sparse.speedup >= 1 else f"{sparse.speedup:.2f}x: SLOWER",
            ],
            [
                "  quartiles",
                "{:.3f} .. {:.3f}".format(*dense.quartiles),
                "{:.3f} .. {:.3f}".format(*sparse.quartiles),
                "{:.2f}x .. {:.2f}x".format(*sparse.speedup_quartiles),
            ],
        ]

    def summary_caption(self) -> str:
        """What the columns are."""
        return (
            "Keras dense is the network before pruning, Keras pruned the same after training on with "
            f"{SPARSITY:.0%} of the weights of its pruned layers removed. Both .tflite files hold the pruned weights: "
            "the dense one with stock ops, the sparse one with tfprune ops. Accuracy and latency of the files are "
            "stock LiteRT's; latency is that of one image, in interleaved runs."
        )

    def comparison_line(self) -> str:
        """How equal the two files are."""
        found = self.comparison
        return (
            f"{found.equal:,} of {found.images:,} test images: sparse equals dense within {TOLERANCE:g} relative "
            f"(worst {found.worst:.1e}); {found.same_class:,} get the same class"
        )

    def layer_rows(self) -> Rows:
        """One row a layer: what was decided, predicted and measured."""
        timings = {(timing.subgraph, timing.index): timing for timing in self.timings}
        return [
            _layer_row(layer, timings[layer.subgraph, layer.index])
            for layer in self.conversion.layers
            if (layer.subgraph, layer.index) in timings
        ]

    def layer_notes(self) -> list[str]:
        """What the layer table shows, in sentences: how many are sparse, faster, slower, and why some are dense."""
        converted = [timing for timing in self.timings if timing.speedup is not None]
        slower = [short_name(timing.layer) for timing in converted if (timing.speedup or 0.0) < 1.0]
        notes = [f"{len(converted)} of {len(self.timings)} layers are sparse."]
        notes += [
            f"{short_name(layer.name)} stays dense: {layer.reason}." for layer in self.conversion.layers if layer.reason
        ]
        if slower:
            notes.append(f"Measured slower than dense in spite of the prediction: {', '.join(slower)}.")
        else:
            notes.append("No sparse layer measured slower than its dense twin.")
        busy = sum(
            high > _BUSY * low for low, high in (timing.speedup_quartiles or (1.0, 1.0) for timing in self.timings)
        )
        if busy:
            notes.append(
                f"The machine was busy with other work: quartiles of {busy} layers lie more than {_BUSY:g}x apart, and "
                "their medians are unreliable."
            )
        total = sum(timing.dense_ms for timing in self.timings)
        kept = sum(timing.dense_ms if timing.sparse_ms is None else timing.sparse_ms for timing in self.timings)
        notes.append(
            f"Layers alone add up to {total:.3f} ms dense and {kept:.3f} ms as converted; the whole model also pays "
            "for additions, pooling and the hand-over between our kernels and XNNPACK."
        )
        return notes


def _layer_row(layer: Any, timing: LayerTiming) -> list[str]:
    if timing.speedup is None or timing.sparse_ms is None or timing.speedup_quartiles is None:
        verdict = f"dense: {_REASONS.get(layer.reason_code, layer.reason_code)}"
        measured, sparse = "-", "-"
    else:
        verdict = f"{layer.encoding}, {'faster' if timing.speedup >= 1 else 'SLOWER'}"
        low, high = timing.speedup_quartiles
        measured = f"{timing.speedup:.2f}x ({low:.2f} .. {high:.2f})"
        sparse = f"{timing.sparse_ms:.4f}"
    return [
        short_name(timing.layer),
        "x".join(map(str, timing.weights)),
        "-" if layer.sparsity is None else f"{layer.sparsity:.1%}",
        f"{timing.dense_ms:.4f}",
        sparse,
        measured,
        "-" if layer.predicted_speedup is None else f"{layer.predicted_speedup:.2f}x",
        verdict,
    ]


def short_name(name: str) -> str:
    """The Keras layer in a tensor's name, which TensorFlow joins from the names of all ops it fused.

    ``net/relu_1/Relu;net/conv_1/convolution;...`` is ``conv``. The model's output bears no layer's name.
    """
    found = _CONVOLUTION.search(name)
    return found.group(1) if found else "output layer"
