# SPDX-License-Identifier: Apache-2.0
"""Prints the tables of docs/accuracy_and_speed.md from the results of ``make bench``.

python benchmarks/speed_tables.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from measure import FOLDER
from results_file import commands_of
from selection_tables import percent, table

Result = dict[str, Any]


def _models(result: Result) -> str:
    headers = ("network", "zeros", "1 thread", "2 threads", "dense scales", "sparse scales", "file")
    rows = []
    for row in result["rows"].values():
        one, two = row["threads"]["1"], row["threads"]["2"]
        rows.append(
            (
                row["network"],
                percent(row["sparsity"]),
                _speed(one),
                _speed(two),
                f"{two['dense_scaling']:.2f}x",
                f"{two['sparse_scaling']:.2f}x",
                percent(row["sparse bytes"] / row["dense bytes"]),
            )
        )
    return table(headers, rows)


def _memory(result: Result) -> str:
    rows = [
        (row["network"], percent(row["sparsity"]), *(_megabytes(row["threads"][count]) for count in ("1", "2")))
        for row in result["rows"].values()
    ]
    return table(("network", "zeros", "dense / sparse MB, 1 thread", "2 threads"), rows)


def _megabytes(row: Result) -> str:
    return f"{row['dense peak MB']:.1f} / **{row['sparse peak MB']:.1f}**"


def _speed(row: Result) -> str:
    return "**{:.2f}x** ({:.2f} - {:.2f})".format(row["speedup"], *row["speedup_quartiles"])


def _layers(result: Result) -> str:
    """Means of one pattern: a line a network, share of ideal and speed-up by sparsity."""
    means = [row for row in result["summary"] if (row["verdicts"], row["precision"]) == ("forced", "float32")]
    sparsities = sorted({row["asked"] for row in means})
    rows = []
    for pattern, network in dict.fromkeys((row["pattern"], row["network"]) for row in means):
        by = {row["asked"]: row for row in means if (row["pattern"], row["network"]) == (pattern, network)}
        cells = (f"**{by[at]['share']:.2f}** ({by[at]['speedup']:.2f}x)" if at in by else "" for at in sparsities)
        rows.append((pattern, network, str(max(row["layers"] for row in by.values())), *cells))
    return table(("pattern", "network", "layers", *map(percent, sparsities)), rows)


def _slowest(result: Result) -> str:
    """With the converter's own verdicts: how many layers are sparse, and the slowest of them."""
    means = [row for row in result["summary"] if row["verdicts"] == "default" and row["network"] == "all"]
    rows = [
        (
            percent(row["asked"]),
            str(row["layers"]),
            f"{row['slowest']:.2f}x",
            "{:.2f} - {:.2f}".format(*row["dense_by_twin"]),
        )
        for row in means
    ]
    return table(("zeros", "layers sparse", "slowest", "dense against dense"), rows)


def _break_even(result: Result) -> str:
    patterns = list(dict.fromkeys(row["pattern"] for row in result["summary"]))
    rows = []
    for kind in dict.fromkeys(row["kind"] for row in result["summary"]):
        by = {row["pattern"]: row for row in result["summary"] if row["kind"] == kind}
        rows.append((kind, *(_zeros(by[name]) if name in by else "" for name in patterns)))
    return table(("layer", *patterns), rows)


def _zeros(row: Result) -> str:
    if row["measured"] is None:
        return "never"
    return f"below {percent(row['from'])}" if row["measured"] == 0 else percent(row["measured"])


def _bandwidth(result: Result) -> str:
    names = ("pattern", "precision", "encoding")
    rows = [
        (
            *(row[name] for name in names),
            f"{row['packed bytes'] / 1e6:.1f}",
            f"{row['GB/s']:.1f}",
            f"{row['GB/s of reading']:.1f}",
            f"**{row['share of bandwidth']:.2f}**",
            f"{row['speedup']:.2f}x",
        )
        for row in result["rows"].values()
    ]
    return table((*names, "MB", "GB/s", "GB/s of reading", "share", "against dense"), rows)


def _instructions(result: Result) -> str:
    rows = [
        (
            row["pattern"],
            row["precision"],
            percent(row["asked"]),
            str(row["layers"]),
            f"**{row['ratio']:.2f}**",
            f"{row['worst']:.2f}",
        )
        for row in result["summary"]
    ]
    return table(("pattern", "precision", "zeros", "layers", "sparse / dense", "worst layer"), rows)


def _xnnpack(result: Result) -> str:
    rows = [
        (
            row["pattern"],
            percent(row["asked"]),
            *(f"{row[name] / 1e6:.1f} M" for name in ("dense", "xnnpack", "sparse")),
            f"**{row['against xnnpack']:.2f}**",
        )
        for row in result["rows"].values()
        if row["part"] == "xnnpack"
    ]
    return table(("pattern", "zeros", "dense", "XNNPACK sparse", "tfprune", "tfprune / XNNPACK"), rows)


def _mnn(result: Result) -> str:
    rows = [
        (
            row["pattern"],
            percent(row["sparsity"]),
            f"{row['mnn sparse']} of {row['layers']}",
            f"**{row['against mnn']:.2f}x**",
            f"{row['worst']:.2f}x",
        )
        for row in result["summary"]
    ]
    return table(("pattern", "zeros", "layers that MNN runs sparse", "MNN / tfprune", "least"), rows)


def _peak(result: Result) -> str:
    cpus = ("cortex-a55", "cortex-a76", "cortex-x2")
    rows = [
        (
            f"`{row['function']}`",
            str(row["instructions"]),
            str(row["multiply-adds"]),
            *(percent(row[cpu]["share"]) for cpu in cpus),
        )
        for row in result["rows"].values()
    ]
    return table(("loop of", "instructions", "multiply-adds", *cpus), rows)


#: Title, results file and maker of each table.
TABLES: tuple[tuple[str, str, Callable[[Result], str]], ...] = (
    ("Whole networks, against dense LiteRT", "cpu_models", _models),
    ("Peak memory", "peak_memory", _memory),
    ("Layers: share of ideal and speed-up", "cpu_layers", _layers),
    ("Layers with the converter's own verdicts", "cpu_layers", _slowest),
    ("Every pattern: share of ideal and speed-up", "cpu_patterns", _layers),
    ("Zeros from which sparse is faster", "break_even", _break_even),
    ("Fully connected, batch 1", "fc_bandwidth", _bandwidth),
    ("Against MNN's sparse mode", "rival_mnn", _mnn),
    ("aarch64 instructions of layers", "arm64_instructions", _instructions),
    ("aarch64 instructions of a MobileNetV1 against XNNPACK's sparse mode", "arm64_instructions", _xnnpack),
    ("AVX2 instructions of layers", "avx2_instructions", _instructions),
    ("Inner loops on Arm: share of multiply-add peak", "mca", _peak),
)


#: These read the summary, which is written when everything is measured.
SUMMARISED = (_layers, _slowest, _break_even, _mnn, _instructions)


@click.command()
@click.option("--folder", default=FOLDER / "results", type=Path, show_default=True)
def main(folder: Path) -> None:
    """Prints every table whose results there are, with the commands that made them."""
    for title, name, make in TABLES:
        path = folder / f"{name}.json"
        if not path.exists():
            click.echo(f"## {title}\n{path} is missing: run `make bench`\n")
            continue
        result = json.loads(path.read_text())
        if not result["rows"] or ("summary" in result and result["summary"] is None and make in SUMMARISED):
            click.echo(f"## {title}\n{path} is not complete: run `make bench`\n")
            continue
        commands = "\n".join(f"`{command}`" for command in commands_of(result))
        click.echo(f"## {title}\n{commands}, {result['date']}\n\n{make(result)}\n")


if __name__ == "__main__":
    main()
