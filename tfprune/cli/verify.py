# SPDX-License-Identifier: Apache-2.0
"""``tfprune verify``: are two models equal?"""

from __future__ import annotations

from pathlib import Path

import click

from tfprune.cli.arrays import read_arrays
from tfprune.cli.console import print_json, print_table, working

EXIT_DIFFERENT = 1


@click.command()
@click.argument("dense", type=click.Path(path_type=Path))
@click.argument("sparse", type=click.Path(path_type=Path))
@click.option(
    "--inputs",
    type=click.Path(path_type=Path),
    help="A .npy array, or a .npz archive with an array for each input. Default: seeded random inputs.",
)
@click.option("--rtol", type=float, default=1e-4, show_default=True, help="Largest relative error that passes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
@click.pass_context
def verify(ctx: click.Context, dense: Path, sparse: Path, inputs: Path | None, rtol: float, as_json: bool) -> None:
    """Compare the outputs of a DENSE .tflite file and its SPARSE twin.

    Exit code 1 when an output differs by more than --rtol of its largest magnitude.
    """
    import tfprune
    from tfprune.converter.verify import HEADERS

    with working("Comparing the models"):
        data = None if inputs is None else read_arrays(inputs, "--inputs")
        report = tfprune.verify(dense, sparse, data, rtol=rtol)
    if as_json:
        print_json(report.to_dict())
    else:
        print_table(HEADERS, report.rows(), " ".join([report.summary(), *report.notes]))
    if not report.ok:
        ctx.exit(EXIT_DIFFERENT)
