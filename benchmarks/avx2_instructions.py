# SPDX-License-Identifier: Apache-2.0
"""AVX2 instructions of one inference of single layers, sparse against XNNPACK's own AVX2 kernels, under qemu.

    python benchmarks/avx2_instructions.py --output benchmarks/results/avx2_instructions.json

XNNPACK takes the best kernels of the processor it finds and has no switch: on a machine with AVX-512 its AVX2 result
cannot be timed. An emulated Haswell has AVX2 and no AVX-512, so both sides choose AVX2 by themselves. Instructions are
not time: the ratio says how much work the kernels leave out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from arguments import COUNT, SPARSITY
from arm64_instructions import LAYER_SPARSITIES, Guest, count_layers, show, summary
from layer_cases import HEAVY, NETWORKS, PATTERNS, cases, chosen_layers, network_layers
from measure import x86_instructions
from results_file import read_rows, write_rows
from tfprune.runtime.library import library_path

CPU = "Haswell"


class X86Guest(Guest):
    """An emulated x86-64 processor with this machine's LiteRT."""

    def __init__(self, cpu: str) -> None:
        super().__init__(Path(), library_path())
        self._cpu = cpu

    def count(self, groups: Sequence[Sequence[bytes]], rtol: float) -> list[tuple[float, ...]]:
        """Instructions of one inference of the models of each group; models of a group must give the same answer."""
        return x86_instructions(groups, self._cpu, self._library, rtol=rtol)


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice(NETWORKS), help="Default: all.")
@click.option("--sparsity", "sparsities", multiple=True, type=SPARSITY, default=LAYER_SPARSITIES, show_default=True)
@click.option("--pattern", "patterns", multiple=True, type=click.Choice(list(PATTERNS)), default=["groups4"])
@click.option("--min-macs", type=COUNT, default=HEAVY, show_default=True, help="Smaller layers are left out.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many layers.")
@click.option("--cpu", default=CPU, show_default=True, help="A processor of `qemu-x86_64 -cpu help`.")
@click.option("--seed", type=COUNT, default=0, show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Results as JSON, resumed.")
def main(
    networks: tuple[str, ...],
    sparsities: tuple[float, ...],
    patterns: tuple[str, ...],
    min_macs: int,
    limit: int | None,
    cpu: str,
    seed: int,
    output: Path | None,
) -> None:
    """Counts and prints tables."""
    rows = read_rows(output) if output else {}
    layers = list(chosen_layers(network_layers(networks or NETWORKS), min_macs))[:limit]
    missing = [case for case in cases(layers, patterns, sparsities, seed) if case.key not in rows]
    for found in count_layers(missing, X86Guest(cpu), "host"):
        rows.update(found)
        if output:
            write_rows(output, rows, summary(rows))
    show(rows, summary(rows), Console(width=160), f"{cpu}, emulated")


if __name__ == "__main__":
    main()
