# SPDX-License-Identifier: Apache-2.0
"""Layers of the measured networks with the zeros of every pattern: what ``cpu_layers.py`` and others measure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tfprune as tp
from measure import FOLDER
from tfprune.converter.analysis import packed_operators
from tfprune.converter.graph import Graph
from tfprune.formats import Encoding
from tfprune.mapping.profiling.integers import Matrix
from tfprune.mapping.profiling.layer_sizes import LayerSizes, count_layers
from tfprune.mapping.profiling.one_op import dense_model, sparse_model

PRECISIONS = ("float32", "int8")
#: Largest error by the largest magnitude; int8 answers may differ by a step or two where values are rounded.
RTOL = {"float32": 1e-4, "int8": 2e-2}
NETWORKS = ("mobilenet_v1", "mobilenet_v2", "resnet50", "efficientnet_lite0")
SHAPES = FOLDER / "shapes"
HEAVY = 5_000_000
#: Whether a layer is worth converting is what is being measured.
ANY_SPEED = 1e-9
_LAYOUTS = {"conv": "conv2d", "depthwise": "depthwise_conv2d", "fc": "dense"}
P = tp.patterns


class PatternChoice(NamedTuple):
    """A pattern that can be asked for.

    Attributes:
        at: the pattern for a sparsity, None where it has none.
        fits: the layers it is meant for.
        packing: how weights other than float32 are packed, which no cost table knows; None: they stay dense.
    """

    at: Callable[[float], Any | None]
    fits: Callable[[LayerSizes], bool]
    packing: tuple[Encoding, int, int] | None = None


def _anywhere(_: LayerSizes) -> bool:
    return True


def _pointwise(layer: LayerSizes) -> bool:
    return layer.kernel == 1


def _windowed(layer: LayerSizes) -> bool:
    return layer.kernel > 1


def _always(pattern: Any) -> Callable[[float], Any]:
    return lambda _: pattern


def _from(least: float, pattern: Any) -> Callable[[float], Any | None]:
    return lambda sparsity: pattern if sparsity >= least else None


PATTERNS: dict[str, PatternChoice] = {
    "groups4": PatternChoice(_always(P.Groups(rows=4)), _anywhere, (Encoding.SLIDING_ROW, 4, 1)),
    "groups8": PatternChoice(_always(P.Groups(rows=8)), _anywhere, (Encoding.SLIDING_ROW, 8, 1)),
    "groups16": PatternChoice(_always(P.Groups(rows=16)), _anywhere, (Encoding.SLIDING_ROW, 16, 1)),
    "groups4-aligned": PatternChoice(_always(P.Groups(rows=4, aligned=True)), _anywhere, (Encoding.ROW_BAND, 4, 1)),
    "groups4-balanced": PatternChoice(
        _always(P.Groups(rows=4, balanced=True, unit_rows=8)), _anywhere, (Encoding.SLIDING_ROW, 4, 1)
    ),
    "groups4-aligned-balanced": PatternChoice(
        _always(P.Groups(rows=4, aligned=True, balanced=True, unit_rows=4)), _anywhere, (Encoding.ROW_BAND, 4, 1)
    ),
    "groups1x4": PatternChoice(_always(P.Groups(rows=1, cols=4, along="input")), _anywhere, (Encoding.ROW_BAND, 1, 4)),
    "groups4x4": PatternChoice(_always(P.Groups(rows=4, cols=4, along="input")), _anywhere, (Encoding.ROW_BAND, 4, 4)),
    "single": PatternChoice(_always(P.Unstructured()), _pointwise, (Encoding.ROW_BAND, 1, 1)),
    "block-punched": PatternChoice(_always(P.BlockPunched(8, 4)), _anywhere, (Encoding.ROW_BAND, 8, 4)),
    "block-rows-columns": PatternChoice(_always(P.BlockRowsColumns()), _anywhere),
    "elements-filter": PatternChoice(_always(P.KernelElements(share="filter")), _windowed),
    "elements-layer": PatternChoice(_always(P.KernelElements(share="layer")), _windowed),
    "n-of-m": PatternChoice({0.5: P.NofM(2, 4), 0.75: P.NofM(1, 4)}.get, _anywhere),
    "kernel-patterns": PatternChoice(_from(5 / 9, P.KernelPatterns()), lambda layer: layer.kernel == 3),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer with the zeros of a pattern; weights are normal, chosen by the seed.

    Attributes:
        layer: the layer.
        pattern: one of :data:`PATTERNS`.
        sparsity: what is asked for; :attr:`achieved` is what the pattern gives.
        precision: of the dense file, ``"float32"`` or ``"int8"``.
        seed: of the weights.
    """

    layer: LayerSizes
    pattern: str
    sparsity: float
    seed: int = 0
    precision: str = "float32"

    @property
    def key(self) -> str:
        """A name of its own."""
        return f"{self.pattern}, {self.sparsity:g}, {self.layer}, seed {self.seed}, {self.precision}"

    @cached_property
    def weights(self) -> Matrix:
        """``[out, kernel rows, kernel columns, in]`` as a matrix, zeros in place (depthwise: ``[out, positions]``)."""
        pattern = PATTERNS[self.pattern].at(self.sparsity)
        if pattern is None:
            raise ValueError(f"{self.pattern} has no form with {self.sparsity:g} zeros")
        kind, size = self.layer.kind, self.layer.kernel
        shape: tuple[int, ...] = (size, size, self.layer.in_channels, self.layer.out_channels)
        if kind == "fc":
            shape = shape[2:]
        elif kind == "depthwise":
            shape = (size, size, self.layer.in_channels, self.layer.out_channels // self.layer.in_channels)
        kernel = np.random.default_rng(self.seed).normal(size=shape).astype(np.float32)
        target = None if pattern.kept_per_unit else self.sparsity
        kernel *= tp.select(kernel, pattern, target, layout=_LAYOUTS[kind])
        if kind == "depthwise":
            return np.ascontiguousarray(kernel.transpose(2, 3, 0, 1).reshape(self.layer.out_channels, -1))
        return np.ascontiguousarray(np.moveaxis(kernel, -1, 0).reshape(self.layer.out_channels, -1))

    @property
    def kept(self) -> int:
        """Weights that are not zero."""
        return int(np.count_nonzero(self.weights))

    @property
    def achieved(self) -> float:
        """Share of zeros."""
        return 1 - self.kept / self.weights.size

    def dense(self) -> bytes:
        """The layer as a stock op, the zeros among its weights."""
        return dense_model(self.layer, self.weights, self.precision)

    def sparse(self, device: str, min_speedup: float | None = ANY_SPEED, **options: Any) -> SparseLayer | None:
        """What ``tp.convert`` makes of it, with its own `min_speedup` for None; None where it stays dense.

        Int8 layers, which it leaves dense, are packed without it as suits their pattern.
        """
        if self.precision == "int8":
            return None if min_speedup is None else self.packed("int8")
        if min_speedup is not None:
            options["min_speedup"] = min_speedup
        converted = tp.convert(self.dense(), device=device, **options)
        layer = converted.report.layers[0]
        return None if layer.encoding is None else SparseLayer(converted.tflite, layer.encoding)

    def packed(self, precision: str) -> SparseLayer | None:
        """The layer with weights that are not float32, packed as suits the pattern; None where nothing does.

        The converter packs float32 weights only.
        """
        packing = PATTERNS[self.pattern].packing
        if packing is None or self.layer.kind == "depthwise":
            return None
        encoding, rows, cols = packing
        tflite = sparse_model(self.layer, self.weights, encoding, rows, cols, precision)
        return SparseLayer(tflite, f"{encoding.name.lower()} {rows}x{cols}")

    def as_single_weights(self) -> bytes:
        """The same zeros, each weight stored for itself."""
        return sparse_model(self.layer, self.weights, Encoding.ROW_BAND, 1)


@dataclasses.dataclass(frozen=True)
class SparseLayer:
    """A converted layer.

    Attributes:
        tflite: the file.
        encoding: how its weights are packed.
    """

    tflite: bytes
    encoding: str

    @property
    def stored(self) -> int:
        """Weights in the file, each multiplied at every pixel: kept ones and the zeros among them."""
        ((*_, packed),) = packed_operators(Graph(self.tflite, "a converted layer"))
        return int(packed.values.size)


def network_layers(names: Iterable[str], folder: Path = SHAPES) -> dict[LayerSizes, dict[str, int]]:
    """Every layer of the networks, with how often each network has it."""
    found: dict[LayerSizes, dict[str, int]] = {}
    for name in names:
        for layer, count in count_layers(folder / f"{name}.txt").items():
            found.setdefault(layer, {})[name] = count
    return found


def is_first(layer: LayerSizes) -> bool:
    """Whether the layer reads the image: it has 3 channels, and is never pruned."""
    return layer.kind == "conv" and layer.in_channels == 3


def chosen_layers(layers: Iterable[LayerSizes], least_macs: int) -> Iterator[LayerSizes]:
    """The layers that are measured: at least so many multiply-adds, and not the first of a network."""
    return (layer for layer in layers if layer.macs >= least_macs and not is_first(layer))


def cases(
    layers: Iterable[LayerSizes],
    patterns: Iterable[str],
    sparsities: Iterable[float],
    seed: int,
    precision: str = "float32",
) -> list[Case]:
    """Every layer with every pattern that is meant for it, at every sparsity that the pattern has."""
    return [
        Case(layer, pattern, sparsity, seed, precision)
        for pattern in patterns
        for sparsity in sparsities
        for layer in layers
        if PATTERNS[pattern].fits(layer) and PATTERNS[pattern].at(sparsity) is not None
    ]
