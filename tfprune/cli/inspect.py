# SPDX-License-Identifier: Apache-2.0
"""``tfprune inspect``: what is in a model, and what could be converted?"""

from __future__ import annotations

from pathlib import Path

import click

from tfprune.cli.console import print_json, working
from tfprune.cli.layers_table import print_layers


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
@click.option(
    "--masks", type=click.Path(path_type=str), help="Also draw masks of layers into a .png, .svg or .pdf file."
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="NAME",
    help="Layer to draw, or a pattern with * and ?; may be repeated. Default: the three largest with zeros.",
)
@click.option(
    "--sparsity",
    type=float,
    metavar="FRACTION",
    help="Sparsity at which patterns are compared in the picture, such as 0.8. Default: that of each layer; "
    "0.75 where it has no zeros.",
)
@click.option("--overwrite", is_flag=True, help="Replace the picture if it exists.")
def inspect(
    model: Path,
    as_json: bool,
    masks: str | None,
    layers: tuple[str, ...],
    sparsity: float | None,
    overwrite: bool,
) -> None:
    """List the layers of MODEL with their sparsity and pattern."""
    import tfprune

    if masks is None and (layers or overwrite or sparsity is not None):
        raise click.UsageError("--layer, --sparsity and --overwrite say how to draw: give --masks FILE too")
    with working("Reading the model"):
        if masks is not None:
            # First, so that a picture that cannot be written costs no time.
            tfprune.plot_masks(model, list(layers) or None, output=masks, overwrite=overwrite, sparsity=sparsity)
        report = tfprune.inspect(model)
    if as_json:
        print_json(report.to_dict())
        return
    print_layers(report)
    if masks is not None:
        click.echo(f"wrote {masks}")
