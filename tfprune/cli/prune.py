# SPDX-License-Identifier: Apache-2.0
"""``tfprune prune``: a trained model becomes a pruned one at once, without training."""

from __future__ import annotations

from pathlib import Path

import click

from tfprune.cli.arrays import read_arrays
from tfprune.cli.console import print_json, print_table, working
from tfprune.cli.outputs import check_apart

_CALIBRATION = "--calibration"
_HEADERS = ("layer", "shape", "pattern", "target", "achieved", "error before", "after", "status")
_TEXT_COLUMNS = (0, 1, 2, 7)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--recipe", required=True, type=click.Path(path_type=Path), help="YAML or JSON file: which layer gets what."
)
@click.option(
    _CALIBRATION,
    type=click.Path(path_type=Path),
    help="A .npy file with examples, or .npz with an array for each input: kept weights are solved anew, so that "
    "outputs on them change least. Default: plain magnitude.",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=str), help="A .keras or .tflite file, as MODEL."
)
@click.option("--overwrite", is_flag=True, help="Replace a file that exists, even MODEL itself.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
def prune(model: Path, recipe: Path, calibration: Path | None, output: str, overwrite: bool, as_json: bool) -> None:
    """Prune MODEL, a trained .keras or .tflite file, at once."""
    import tfprune

    check_apart({"--output": output}, {"--recipe": recipe, _CALIBRATION: calibration})
    with working("Pruning") as say:
        from tfprune.one_shot.result import check_output

        # All before the work, so that a refused one leaves nothing behind.
        rules = tfprune.Recipe.load(recipe)
        check_output(output, from_keras=model.suffix != ".tflite", overwrite=overwrite, source=model)
        data = None if calibration is None else read_arrays(calibration, _CALIBRATION)
        pruned = tfprune.prune(model, rules, calibration=data, progress=lambda layer: say(f"Pruning {layer}"))
        pruned.save(output, overwrite=overwrite)
    report = pruned.report
    if as_json:
        print_json({"output": output, "report": report.to_dict()})
        return
    rows = [cells[:1] + cells[2:] for cells in (layer.cells() for layer in report.layers)]
    print_table(_HEADERS, rows, report.title, text_columns=_TEXT_COLUMNS)
    click.echo(f"wrote {output}")
