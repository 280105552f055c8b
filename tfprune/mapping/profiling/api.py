# SPDX-License-Identifier: Apache-2.0
"""``profile``: from a device to a table that predicts it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tfprune.costs import load_table
from tfprune.costs.facts import HeldOut
from tfprune.costs.table import CHAIN_OPS, STOCK_OPS, parse_table
from tfprune.errors import OutputError, ProfileError
from tfprune.files import check_target, write_file
from tfprune.mapping.profiling.chain_samples import (
    FEWEST_CHAINS,
    ChainSample,
    chain_errors,
    fit_chains,
    measure_chains,
)
from tfprune.mapping.profiling.design import Design, candidates
from tfprune.mapping.profiling.device import conditions_of, described
from tfprune.mapping.profiling.fitting import bounded_least_squares, tile_of
from tfprune.mapping.profiling.held_out import fit_layers, fit_stock_ops, table_content
from tfprune.mapping.profiling.integers import INTEGERS
from tfprune.mapping.profiling.layer_sizes import read_layers
from tfprune.mapping.profiling.model_shapes import ModelShapes, model_shapes
from tfprune.mapping.profiling.report import Part, ProfileReport
from tfprune.mapping.profiling.samples import Bench, Sample, StockSample
from tfprune.mapping.profiling.sampling import Fit, Told, errors_by_kind, measure_layers
from tfprune.mapping.profiling.saved import Measurements
from tfprune.mapping.profiling.shape_files import SHAPES
from tfprune.mapping.profiling.stock_ops import measurable
from tfprune.mapping.profiling.stock_sizes import StockLayer, read_stock_layers
from tfprune.mapping.profiling.targets import Target, target_of
from tfprune.sparsity.configured import as_float

PRECISIONS = ("float32", *INTEGERS)
#: Operators that a layer can need round it, whatever the model.
_ALWAYS = ("pad", "concatenation", "transpose")
#: What stands in the networks that chains are fitted to.
_IN_CHAINS = ("elementwise", "depthwise_conv_2d", "pooling", "reduction")
_STOCK_SHARE = 0.2  # of the time, about
_FEWEST = 2  # measurements of a stock op that a fit can be judged by


def profile(
    model: Any = None,
    *,
    target: str | Target = "host",
    backend: str = "cpu",
    num_threads: int = 1,
    precision: str = "float32",
    seconds: float = 240.0,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> ProfileReport:
    """Measures layers on a device, dense and sparse, and fits the cost table that predicts them.

    What is timed are LiteRT files of one layer, dense in stock LiteRT and sparse in the delegate, over kinds of layers,
    shapes, patterns of zeros, block sizes and sparsities. A spread of them comes first; then, round by round, those
    that the fit so far knows least about, until its error on layers that it did not see stops falling or the time is
    spent. The call of a model is measured too, and is no part of the times: layers stand in networks.

    Args:
        model: whose layers count most: a Keras model, or the path or bytes of a file as for :func:`tfprune.convert`;
            None: those of well-known networks.
        target: ``"host"`` this machine, in microseconds; ``"arm64"`` an emulated Cortex-A76, in instructions, in a
            checkout of tfprune after ``make build-aarch64``; ``"adb"`` or ``"adb:SERIAL"`` an attached phone, in
            microseconds, after ``make phone-tools``; or a :class:`Target` of one's own.
        backend: ``"cpu"``, or ``"gpu"`` the OpenCL device, on this machine by its driver's clock.
        num_threads: CPU threads.
        precision: ``"float32"``, ``"int8"``, ``"dynamic"``, ``"uint8"`` or ``"int16"``.
        seconds: about how long to measure. What a fit needs is measured however long it takes: other operators, small
            networks and a first spread of layers.
        output: where to write the table; measurements are kept beside it meanwhile, and a run that was killed goes on
            with them; those of another device or library are refused. None: nothing is written.
        overwrite: whether ``output`` may be replaced.
        progress: is told the share of the work that is done, and what is being done.

    Returns:
        A report; its ``table``, and the file, are a ``device`` for :func:`tfprune.convert` and for mapping.

    Raises:
        ProfileError: an argument is wrong, or the device cannot be measured.
        OutputError: ``output`` cannot be written.

    Example:
        >>> print(profile("classifier.keras", output="laptop.json"))  # doctest: +SKIP
    """
    start = time.monotonic()
    _check(precision, seconds)
    bounded_least_squares()
    path = None if output is None else _checked_output(output, overwrite)
    shapes = None if model is None else model_shapes(model)
    device = target_of(target, backend, num_threads, precision)
    with contextlib.closing(device):
        saved = Measurements(path and measurements_path(path), {**conditions_of(device.facts), "precision": precision})
        earlier = len(saved.rows)
        run = _Run(device, precision, Bench(device.layers, device.ops, saved, device.batch), progress or _silent)
        stock = run.stock(shapes)
        chains = run.chains()
        layers = run.layers(shapes, start + float(seconds))
    content, parts = run.fitted(layers, stock, chains)
    if path is not None:
        write_file(path, (json.dumps(content, indent=2) + "\n").encode(), overwrite=overwrite)
        saved.remove()
    return ProfileReport(
        parse_table(content, device.name),
        content,
        precision,
        parts,
        _lacking(shapes, {sample.op.name for sample in stock}),
        tuple(device.notes),
        time.monotonic() - start,
        earlier,
        None if path is None else str(path),
    )


def _checked_output(output: str | os.PathLike[str], overwrite: bool) -> Path:
    """Before minutes of measuring: tables of another ending are read by nothing."""
    path = check_target(output, overwrite=overwrite)
    if not os.fsdecode(output).endswith(".json"):
        raise OutputError(f"output: a profile must be written to a file that ends in .json, got `{output}`")
    return path


def measurements_path(output: Path) -> Path:
    """Where the measurements of an unfinished profile are."""
    return output.with_name(f"{output.name}.measured")


class _Run:
    """One precision on one device."""

    def __init__(self, device: Target, precision: str, bench: Bench, tell: Told) -> None:
        self._device = device
        self._precision = precision
        self._bench = bench
        self._tell = tell
        self._prior = load_table("arm64" if device.arm else "host")
        known = self._prior.costs(precision).kinds
        self._fit = Fit(tile_of(device.arm, precision), precision, device.cache_bytes, known)

    def stock(self, shapes: ModelShapes | None) -> list[StockSample]:
        """Measures stock ops: the model's own, and others of the same names; without a model all."""
        every = read_stock_layers(SHAPES / "stock_ops.txt")
        if shapes is not None:
            names = {*_ALWAYS, *_IN_CHAINS, *shapes.stock_names}
            every = [*shapes.stock_layers, *(layer for layer in every if layer.name in names)]
        wanted = [layer for layer in dict.fromkeys(every) if measurable(layer, self._precision)]
        return self._bench.stock_samples(wanted, self._precision, self._told_of_ops(wanted))

    def _told_of_ops(self, wanted: Sequence[StockLayer]) -> Callable[[int, int], None]:
        def told(done: int, of: int) -> None:
            known = len(wanted) - of + done
            self._tell(_STOCK_SHARE * known / len(wanted), f"other operators, {known} of {len(wanted)}")

        return told

    def _told_of_layers(self, share: float, text: str) -> None:
        self._tell(_STOCK_SHARE + (1 - _STOCK_SHARE) * share, text)

    def chains(self) -> list[ChainSample]:
        """Measures small networks that run as chains in the delegate, of float32 layers on a CPU."""
        if self._precision != "float32" or self._device.facts.backend != "cpu":
            return []
        return measure_chains(self._bench, lambda done, of: self._tell(_STOCK_SHARE, f"small networks, {done} of {of}"))

    def layers(self, shapes: ModelShapes | None, deadline: float) -> list[Sample]:
        """Measures layers: the model's own, and others for a stable fit."""
        others = read_layers(SHAPES / "layers.txt")
        own = () if shapes is None else shapes.layers
        wanted = candidates(own, [layer for layer in others if layer not in own], self._precision)
        design = Design(wanted, self._prior, self._precision)
        return measure_layers(self._bench, design, self._fit, deadline, self._told_of_layers)

    def fitted(
        self, layers: list[Sample], stock: list[StockSample], chains: list[ChainSample]
    ) -> tuple[dict[str, Any], tuple[Part, ...]]:
        """The table, and what stands behind each part of it."""
        fit, facts = self._fit, self._device.facts
        kinds, errors = fit_layers(layers, fit.tile, fit.precision, fit.cache_bytes, prior=fit.prior)
        known = self._prior.costs(fit.precision).stock_ops
        ops, op_errors = fit_stock_ops(stock, known)
        held_out: dict[str, HeldOut | None] = {"layers": errors, "stock_ops": op_errors}
        costs: dict[str, Any] = {
            "source": f"tfprune profile: {described(facts)}; {len(layers)} layers, {len(stock)} other operators",
            "held_out": {name: dataclasses.asdict(each) for name, each in held_out.items() if each is not None},
            "tile": fit.tile,
            "kinds": kinds,
            "stock_ops": ops,
        }
        name, unit, cache = self._device.name, self._device.unit, fit.cache_bytes
        content = table_content(name, unit, cache, {fit.precision: costs}, facts)
        by_kind = errors_by_kind(layers, fit)
        counts = [sample.layer.kind for sample in layers]
        parts = [Part(kind, counts.count(kind), errors) for kind, errors in by_kind.items()]
        for op in ops:
            same = [sample for sample in stock if sample.op.name == op]
            parts.append(Part(op, len(same), fit_stock_ops(same, known)[1] if len(same) >= _FEWEST else None))
        if len(chains) > FEWEST_CHAINS:
            table, call = parse_table(content, name), self._bench.call()
            errors_of_chains = chain_errors(chains, table, call)
            parts.append(Part("networks", len(chains), errors_of_chains))
            costs["held_out"]["networks"] = dataclasses.asdict(errors_of_chains)
            ops.update(fit_chains(chains, table, call))
        return content, tuple(parts)


def _check(precision: Any, seconds: Any) -> None:
    if precision not in PRECISIONS:
        raise ProfileError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if not 0 < as_float(seconds) < math.inf:
        raise ProfileError(f"seconds must be a number above 0, got {seconds!r}")


def _lacking(shapes: ModelShapes | None, measured: set[str]) -> tuple[str, ...]:
    """Operators of the model that the table has no cost for; without a model stock ops that were not measured."""
    if shapes is None:
        return tuple(name for name in STOCK_OPS if name not in (*measured, *CHAIN_OPS))
    return (*shapes.unknown, *(name for name in shapes.stock_names if name not in measured))


def _silent(share: float, text: str) -> None:
    """Tells nobody."""
