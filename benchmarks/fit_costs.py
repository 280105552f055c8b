# SPDX-License-Identifier: Apache-2.0
"""Measures layers, stock ops and chains and fits a precision of a cost table of ``tfprune/costs`` to them.

    python benchmarks/fit_costs.py --device host --precision int8
    make test-aarch64 && python benchmarks/fit_costs.py --device arm64 --precision int8

As `tfprune profile` does, but for whole grids of layers and with parts of a table that are fitted again. A quarter of
the layers, and each stock op in turn, is held out: the table's `source` names the errors on them. What was measured
stays in ``build/benchmarks``; a run with the same library goes on there. What is not fitted stays in the table.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress

from measure import REPOSITORY
from tfprune.costs.facts import DeviceFacts
from tfprune.costs.table import KINDS, PRECISIONS, STOCK_OPS, parse_table
from tfprune.mapping.profiling.chain_samples import chain_errors, fit_chains, measure_chains
from tfprune.mapping.profiling.device import conditions_of, described
from tfprune.mapping.profiling.fitting import tile_of
from tfprune.mapping.profiling.held_out import fit_layers, fit_stock_ops, table_content
from tfprune.mapping.profiling.instructions import AARCH64
from tfprune.mapping.profiling.integers import INTEGERS
from tfprune.mapping.profiling.layer_sizes import read_layers
from tfprune.mapping.profiling.samples import Bench, Tell, cases
from tfprune.mapping.profiling.saved import Measurements
from tfprune.mapping.profiling.shape_files import SHAPES
from tfprune.mapping.profiling.stock_ops import measurable
from tfprune.mapping.profiling.stock_sizes import read_stock_layers
from tfprune.mapping.profiling.targets import Target, arm64_target, host_target
from tfprune.mapping.profiling.timing import MORE_TRIES

MEASURED = ("float32", *INTEGERS)
PARTS = ("layers", "stock-ops", "networks")
MARKS = {"layers": "", "stock-ops": "; beside them ", "networks": "; in networks "}
AGAIN_MARK = "; fitted again "


def source_of(earlier: str, kinds: Sequence[str], now: str) -> str:
    """What is said of the layers of a table: of all kinds, and of those that were fitted again since."""
    if set(kinds) == set(KINDS):
        return now
    first, *others = earlier.split(AGAIN_MARK)
    names = ", ".join(kinds)
    return AGAIN_MARK.join([first, *(other for other in others if not other.startswith(names)), f"{names}: {now}"])


def sources_of(text: str) -> dict[str, str]:
    """The parts of what a table says of its source."""
    found = {}
    for part in reversed(PARTS[1:]):
        if MARKS[part] in text:
            text, found[part] = text.split(MARKS[part], 1)
    return {**found, **({"layers": text} if text else {})}


@click.command()
@click.option("--device", type=click.Choice(["host", "arm64"]), required=True)
@click.option("--precision", type=click.Choice(MEASURED), default="float32", show_default=True)
@click.option("--root", default=AARCH64 / "root", type=Path, help="A root of tools/aarch64/make_root.sh.")
@click.option("--library", default=AARCH64 / "libtfprune.so", type=Path, help="libtfprune for arm64.")
@click.option("--layers", default=SHAPES / "layers.txt", type=Path)
@click.option("--stock-ops", default=SHAPES / "stock_ops.txt", type=Path)
@click.option("--share", type=click.IntRange(min=1), default=1, help="Every n-th encoding and size of a layer only.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), default=KINDS, help="Default: all.")
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), default=PARTS, help="Default: all.")
@click.option("--op", "names", multiple=True, type=click.Choice(STOCK_OPS), help="Only these stock ops; others stay.")
@click.option("--output", type=Path, help="Default: the table of the package.")
def main(
    device: str,
    precision: str,
    root: Path,
    library: Path,
    layers: Path,
    stock_ops: Path,
    share: int,
    kinds: tuple[str, ...],
    parts: tuple[str, ...],
    names: tuple[str, ...],
    output: Path | None,
) -> None:
    """Measures, fits with a part held out, reports the error there, then fits on everything and writes the table."""
    target = (
        host_target(more_tries=MORE_TRIES)
        if device == "host"
        else arm64_target(precision, root.absolute(), library.absolute())
    )
    path = output or REPOSITORY / "tfprune/costs/tables" / f"{device}.json"
    earlier = json.loads(path.read_text()) if path.exists() else {}
    known = earlier.get("precisions", {})
    costs = known.setdefault(precision, {"source": "", "held_out": {}, "tile": {}, "kinds": {}, "stock_ops": {}})
    costs["tile"] = tile_of(target.arm, precision)
    sources = sources_of(costs["source"])
    conditions = f"benchmarks/fit_costs.py --device {device}: {described(target.facts)}"
    with Progress() as bar:
        if "layers" in parts:
            bench = _bench(target, precision, "")
            wanted = [case for case in cases(read_layers(layers), precision, share) if case.layer.costs().kind in kinds]
            found = bench.samples(wanted, _tell(bar, "layers"))
            costs["kinds"], errors = fit_layers(found, costs["tile"], precision, target.cache_bytes, costs["kinds"])
            if set(kinds) == set(KINDS):
                costs["held_out"]["layers"] = dataclasses.asdict(errors)
            text = f"{len(found)} layers, error of the predicted speed-up on {errors.count} held-out layers: {errors}"
            sources["layers"] = source_of(sources.get("layers", ""), kinds, f"{conditions}; {text}")
        if "stock-ops" in parts:
            bench = _bench(target, precision, "_stock")
            stock = [layer for layer in read_stock_layers(stock_ops) if measurable(layer, precision)]
            stock = [layer for layer in stock if not names or layer.name in names]
            ops = bench.stock_samples(stock, precision, _tell(bar, "stock ops"))
            fitted, op_errors = fit_stock_ops(ops)
            text = f"{len(ops)} stock ops in a row, error of the predicted time of each from all others: {op_errors}"
            costs["stock_ops"] = {**costs["stock_ops"], **fitted}  # those of chains are fitted elsewhere
            if not names and op_errors is not None:
                costs["held_out"]["stock_ops"] = dataclasses.asdict(op_errors)
            later = f"{sources.get('stock-ops')}; later {' and '.join(fitted)}: {text}"
            sources["stock-ops"] = later if names else text
        if "networks" in parts and precision == "float32":
            part = table_content(
                device, target.unit, target.cache_bytes, {precision: costs}, target.facts, general=True
            )
            bench = _bench(target, precision, "_networks")
            networks, call = measure_chains(bench, _tell(bar, "networks")), bench.call()
            alone = parse_table(part, str(path))
            chain_error = chain_errors(networks, alone, call)
            costs["stock_ops"] = {**costs["stock_ops"], **fit_chains(networks, alone, call)}
            costs["held_out"]["networks"] = dataclasses.asdict(chain_error)
            count = chain_error.count
            sources["networks"] = f"{len(networks)} chains, error of the time of {count} held-out ones: {chain_error}"
    costs["source"] = "".join(MARKS[part] + sources[part] for part in PARTS if part in sources)
    precisions = {each: known[each] for each in PRECISIONS if each in known}
    facts = common_facts(earlier["device"], dataclasses.asdict(target.facts)) if earlier else target.facts
    table = table_content(device, target.unit, target.cache_bytes, precisions, facts, general=True)
    parse_table(table, str(path))
    path.write_text(json.dumps(table, indent=2) + "\n")
    click.echo(costs["source"])


def common_facts(earlier: dict[str, Any], now: dict[str, Any]) -> DeviceFacts:
    """What all parts of a table were measured on, where they were measured one after the other."""
    return DeviceFacts(**{name: value if earlier[name] == value else None for name, value in now.items()})


def _bench(target: Target, precision: str, mark: str) -> Bench:
    path = REPOSITORY / "build/benchmarks" / f"costs_{target.name}_{precision}{mark}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    return Bench(target.layers, target.ops, Measurements(path, conditions_of(target.facts)), target.batch)


def _tell(bar: Progress, title: str) -> Tell:
    task = bar.add_task(title)

    def tell(done: int, of: int) -> None:
        bar.update(task, completed=done, total=of)

    return tell


if __name__ == "__main__":
    main()
