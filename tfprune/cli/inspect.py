# SPDX-License-Identifier: Apache-2.0
"""``tfprune inspect``: what is in a model, and what could be converted?"""

from __future__ import annotations

from pathlib import Path

import click

from tfprune.cli.arrays import read_arrays
from tfprune.cli.console import print_json, print_table, working
from tfprune.cli.layers_table import print_layers
from tfprune.cli.options import DATA_OPTION, report_options, verdict_options
from tfprune.cli.outputs import Paths, check_apart


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@verdict_options
@click.option("--target", default="delegate", show_default=True, help="What would run the file: delegate or stock.")
@click.option("--backend", type=click.Choice(["gpu"]), help="Also list which operators a GPU would run, and why not.")
@report_options
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
@click.option("--overwrite", is_flag=True, help="Replace the page and the picture if they exist.")
def inspect(
    model: Path,
    precision: str,
    representative_data: Path | None,
    target: str,
    device: str,
    min_speedup: float,
    backend: str | None,
    wide: bool,
    as_json: bool,
    html: str | None,
    masks: str | None,
    layers: tuple[str, ...],
    sparsity: float | None,
    overwrite: bool,
) -> None:
    """List the layers of MODEL with their zeros, their pattern and what would become of them."""
    import tfprune
    from tfprune.runtime.placement import HEADERS, TEXT_COLUMNS

    if masks is None and (layers or sparsity is not None):
        raise click.UsageError("--layer and --sparsity say how to draw: give --masks FILE too")
    if masks is None and html is None and overwrite:
        raise click.UsageError("--overwrite is for what is written: give --masks FILE or --html FILE too")
    read: Paths = {"MODEL": model, DATA_OPTION: representative_data, "--device": device}
    check_apart({"--masks": masks, "--html": html}, read)
    with working("Reading the model"):
        if html is not None:
            from tfprune.files import check_target

            # First, so that a page that cannot be written costs no time.
            check_target(html, overwrite=overwrite, source=model)
        if masks is not None:
            tfprune.plot_masks(model, list(layers) or None, output=masks, overwrite=overwrite, sparsity=sparsity)
        report = tfprune.inspect(
            model,
            precision=precision,
            representative_data=None if representative_data is None else read_arrays(representative_data, DATA_OPTION),
            device=device,
            target=target,
            min_speedup=min_speedup,
            backend=backend,
        )
        if html is not None:
            report.save_html(html, title=model.name, overwrite=overwrite)
    if as_json:
        print_json(report.to_dict())
        return
    print_layers(report, wide=wide)
    if report.placement is not None:
        print_table(HEADERS, report.placement.rows(), report.placement.caption(), text_columns=TEXT_COLUMNS)
    for path in (masks, html):
        if path is not None:
            click.echo(f"wrote {path}")
