# SPDX-License-Identifier: Apache-2.0
"""``tfprune verify``: are two models equal?"""

from __future__ import annotations

from pathlib import Path

import click

from tfprune.cli.arrays import read_arrays
from tfprune.cli.console import print_json, print_table, working
from tfprune.cli.options import backend_options

EXIT_DIFFERENT = 1


@click.command()
@click.argument("dense", type=click.Path(path_type=Path))
@click.argument("sparse", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="A .npy array with an example a row, or a .npz archive with an array for each input by name. Default: seeded "
    "random inputs.",
)
@click.option("--layers", is_flag=True, help="Compare every layer too, and name the first one that differs.")
@backend_options
@click.option(
    "--rtol",
    type=float,
    help="Largest relative error that passes.  [default: 1e-4; 2e-2 for dynamic range; 1e-2 for halves against "
    "float32; on a GPU 5e-2 for eight bits and 4e-2 for f16]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
@click.pass_context
def verify(
    ctx: click.Context,
    dense: Path,
    sparse: Path,
    data: Path | None,
    layers: bool,
    backend: str,
    precision: str,
    rtol: float | None,
    as_json: bool,
) -> None:
    """Compare the outputs of a DENSE .tflite file and its SPARSE twin.

    Exit code 1 when an output, or a layer with --layers, differs by more than --rtol of its largest magnitude.
    """
    import tfprune
    from tfprune.converter.verify_report import HEADERS, LAYER_HEADERS, LAYER_TEXT_COLUMNS

    with working("Comparing the models"):
        inputs = None if data is None else read_arrays(data, "--data")
        report = tfprune.verify(dense, sparse, inputs, backend=backend, precision=precision, rtol=rtol, layers=layers)
    if as_json:
        print_json(report.to_dict())
    else:
        if report.layers:
            print_table(LAYER_HEADERS, report.layer_rows(), text_columns=LAYER_TEXT_COLUMNS)
        print_table(HEADERS, report.rows(), "\n".join(report.remarks()))
    if not report.ok:
        ctx.exit(EXIT_DIFFERENT)
