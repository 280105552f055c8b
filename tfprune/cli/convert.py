# SPDX-License-Identifier: Apache-2.0
"""``tfprune convert``: a pruned model becomes a sparse .tflite file."""

from __future__ import annotations

from pathlib import Path

import click

from tfprune.cli.arrays import read_arrays
from tfprune.cli.console import print_json, working
from tfprune.cli.layers_table import print_layers
from tfprune.cli.options import DATA_OPTION, report_options, verdict_options
from tfprune.cli.outputs import check_apart

EXIT_NOTHING_CONVERTED = 1
OUTPUT_SUFFIX = ".sparse.tflite"


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=str), help="Default: MODEL's stem + .sparse.tflite, beside it."
)
@click.option(
    "--dense-output", type=click.Path(path_type=str), help="Also write the dense twin: same zeros, stock ops."
)
@verdict_options
@click.option("--target", default="delegate", show_default=True, help="What runs the file: delegate, stock or dense.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist, even MODEL itself.")
@report_options
@click.pass_context
def convert(
    ctx: click.Context,
    model: Path,
    output: str | None,
    dense_output: str | None,
    precision: str,
    representative_data: Path | None,
    device: str,
    target: str,
    min_speedup: float,
    html: str | None,
    overwrite: bool,
    wide: bool,
    as_json: bool,
) -> None:
    """Convert MODEL, a .keras file, a SavedModel folder or a dense .tflite file.

    Exit code 1 when no layer was converted; the output is written all the same and equals the dense model.
    """
    import tfprune

    # As text: a Path would drop the separator that makes `folder/` no file name.
    output = str(default_output(model)) if output is None else output
    written = {"--output": output, "--dense-output": dense_output}
    # --overwrite is for MODEL, too; a page in its place helps nobody.
    check_apart({**written, "--html": html}, {DATA_OPTION: representative_data, "--device": device})
    check_apart({"--html": html}, {"MODEL": model})
    with working("Converting"):
        from tfprune.files import check_target

        # All before the work, so that a refused one leaves nothing behind.
        for path in (output, dense_output, html):
            if path is not None:
                check_target(path, overwrite=overwrite, source=model)
        converted = tfprune.convert(
            model,
            precision=precision,
            representative_data=None if representative_data is None else read_arrays(representative_data, DATA_OPTION),
            device=device,
            target=target,
            min_speedup=min_speedup,
        )
        converted.save(output, overwrite=overwrite)
        if dense_output is not None:
            converted.save_dense(dense_output, overwrite=overwrite)
        report = converted.report
        if html is not None:
            report.save_html(html, title=model.name, overwrite=overwrite)
    if as_json:
        print_json({"output": output, "dense_output": dense_output, "html": html, "report": report.to_dict()})
    else:
        print_layers(report, wide=wide)
        for path in (output, dense_output, html):
            if path is not None:
                click.echo(f"wrote {path}")
    # Somebody who asks for dense weights has no problem when there is no sparse layer.
    if target in ("delegate", "stock") and not report.converted_layers:
        ctx.exit(EXIT_NOTHING_CONVERTED)


def default_output(model: Path) -> Path:
    """``classifier.keras`` becomes ``classifier.sparse.tflite`` in the same folder; so does a SavedModel folder."""
    path = model.resolve() if model.name in ("", ".", "..") else model
    return path.with_name((path.name if path.is_dir() else path.stem) + OUTPUT_SUFFIX)
