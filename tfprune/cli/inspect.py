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
def inspect(model: Path, as_json: bool) -> None:
    """List the layers of MODEL with their sparsity and pattern."""
    import tfprune

    with working("Reading the model"):
        report = tfprune.inspect(model)
    if as_json:
        print_json(report.to_dict())
    else:
        print_layers(report)
