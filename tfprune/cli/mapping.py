# SPDX-License-Identifier: Apache-2.0
"""``tfprune map``: which pattern, block size and rate suits each layer of a model on a device?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfprune.cli.arrays import read_arrays
from tfprune.cli.console import print_json, print_reasons, print_table, showing, working
from tfprune.cli.options import DATA_OPTION
from tfprune.cli.outputs import check_apart
from tfprune.errors import RuntimeInputError

if TYPE_CHECKING:
    # It loads the converter, which `--help` has no use for.
    from tfprune.mapping.mapping import Mapping

EXIT_NOT_MET = 1
_RULES = "rules"
_METHODS = (_RULES, "policy", "optuna", "nsga2")
_BUDGETS = ("latency_ms", "latency_ratio", "size_bytes", "mac_ratio")
#: Options that only a search has.
_SEARCH_ONLY = ("data", "validation", "trials", "epochs", "workers", "storage", "seed")
#: Options that name a file to read.
_READ = ("profile", "rules", "validation", "data", "representative_data")
_LABELS, _INPUTS = "y", "x"


@click.command("map")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--profile", required=True, help="Of the device: a JSON file, or a cost table, arm64 or host.")
@click.option("--latency-ms", type=float, help="Budget: milliseconds, for profiles in units of time.")
@click.option("--latency-ratio", type=float, help="Budget: share of the dense model's predicted latency.")
@click.option("--size-bytes", type=float, help="Budget: bytes of the layers' kernels as stored.")
@click.option("--mac-ratio", type=float, help="Budget: share of the dense layers' multiply-adds.")
@click.option(
    "--method", type=click.Choice(_METHODS), default=_RULES, show_default=True, help="What finds the mapping."
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=str), help="The recipe, a .yaml or .json file."
)
@click.option("--report", type=click.Path(path_type=str), help="Also write one HTML page with pictures and reasons.")
@click.option("--task", default="easy", show_default=True, help="How hard: easy (as CIFAR) or hard (as ImageNet).")
@click.option(
    "--tolerance",
    type=float,
    default=0.2,
    show_default=True,
    help="How much slower than coarse structured pruning a pattern may be.",
)
@click.option("--rules", type=click.Path(path_type=Path), help="YAML or JSON file of rules. Default: tfprune's own.")
@click.option("--precision", default="float32", show_default=True, help="Of the file: float32, float16, int8, dynamic.")
@click.option(
    DATA_OPTION,
    type=click.Path(path_type=Path),
    help="For --precision int8: a .npy file with examples, or .npz with an array for each input.",
)
@click.option(
    "--min-speedup", type=float, default=1.05, show_default=True, help="A layer predicted to gain less stays dense."
)
@click.option(
    "--validation",
    type=click.Path(path_type=Path),
    help="Of a search: a .npz file with labels y and inputs x, or an array for each input by name; mappings are judged "
    "on them.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Of a search: training data, as --validation. Default: none."
)
@click.option("--trials", type=click.IntRange(min=1), help="Of a search: mappings to judge.  [default: 200]")
@click.option("--epochs", type=click.IntRange(min=0), help="Of a search: of training a mapping.  [default: 0]")
@click.option("--workers", type=click.IntRange(min=1), help="Of a search: processes.  [default: 1]")
@click.option("--storage", help="Of a search: journal file or URL of a database, where a killed search goes on.")
@click.option("--seed", type=click.IntRange(min=0), help="Of a search.  [default: 0]")
@click.option("--force", is_flag=True, help="Use a profile of another device or library version all the same.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
@click.pass_context
def map_command(ctx: click.Context, /, model: Path, **options: Any) -> None:
    """Choose a pattern, block size and rate for every layer of MODEL, a trained .keras file.

    Give one budget. Exit code 1 when no mapping meets it: the closest one is written all the same.
    """
    _check_options(options)
    output, report = options["output"], options["report"]
    read = {_spelled(name): options[name] for name in _READ}
    check_apart({"--output": output, "--report": report, "--storage": options["storage"]}, {"MODEL": model, **read})
    with working("Reading the model") as say:
        from tfprune.files import check_target
        from tfprune.mapping.recipe_rules import check_recipe_path
        from tfprune.plotting.page import check_dependencies

        # All before the work, so that a refused one leaves nothing behind.
        check_recipe_path(output)
        for path in (output, report):
            if path is not None:
                check_target(path, overwrite=options["overwrite"], source=model)
        if report is not None:
            check_dependencies()
        examples = {} if options["method"] == _RULES else _read_examples(options)
        found, loaded = _by_rules(model, options, say)
    document: dict[str, Any] = {"output": output, "report": report}
    if options["method"] == _RULES:
        document["mapping"] = found.to_dict()
    else:
        result = _search(loaded, found, examples, options)
        found = result.best
        document["search"] = result.to_dict()
    with working("Writing"):
        found.save_recipe(output, overwrite=options["overwrite"])
        if report is not None:
            found.save_report(report, title=model.name, overwrite=options["overwrite"])
    if options["as_json"]:
        print_json(document)
    else:
        print_mapping(found)
        for path in (output, report):
            if path is not None:
                click.echo(f"wrote {path}")
    if not found.met:
        ctx.exit(EXIT_NOT_MET)


def print_mapping(mapping: Mapping) -> None:
    """Prints a row a layer, then the reasons, then the totals.

    Args:
        mapping: what to print.
    """
    from tfprune.mapping.mapping import HEADERS, NARROW

    rows = [[row[place] for place in NARROW] for row in mapping.rows()]
    print_table([HEADERS[place] for place in NARROW], rows, text_columns=(0, 1))
    print_reasons((layer.name, layer.reason) for layer in mapping.layers)
    click.echo(mapping.caption())


def _check_options(options: dict[str, Any]) -> None:
    """Refuses what does not go together, in the words of the command line."""
    if sum(options[name] is not None for name in _BUDGETS) != 1:
        raise click.UsageError(f"give exactly one of {', '.join(map(_spelled, _BUDGETS))}")
    if options["method"] == _RULES:
        given = [_spelled(name) for name in _SEARCH_ONLY if options[name] is not None]
        if given:
            raise click.UsageError(f"{', '.join(given)}: only for a search; give --method policy, optuna or nsga2 too")
    elif options["validation"] is None:
        raise click.UsageError(f"--method {options['method']} judges mappings on examples: give --validation FILE too")


def _spelled(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _by_rules(model: Path, options: dict[str, Any], say: Any) -> tuple[Mapping, Any]:
    """The mapping by rules, which a search begins with, and the model."""
    from tfprune.mapping.inputs import keras_model
    from tfprune.mapping.rule_based import rules

    loaded = keras_model(model, compiled=options["method"] != _RULES)
    found = rules(
        loaded,
        options["profile"],
        **{name: options[name] for name in _BUDGETS},
        task=options["task"],
        tolerance=options["tolerance"],
        rules=options["rules"],
        **_of_file(options),
        progress=say,
    )
    return found, loaded


def _read_examples(options: dict[str, Any]) -> dict[str, Any]:
    """What mappings are judged on, as arguments of a search that could begin."""
    from tfprune.mapping.searching.api import check_dependencies

    check_dependencies()
    training = options["data"]
    return {
        "validation_data": _examples(options["validation"], "--validation"),
        "training_data": None if training is None else _examples(training, "--data"),
    }


def _search(model: Any, start: Mapping, examples: dict[str, Any], options: dict[str, Any]) -> Any:
    """What a search finds that begins with the mapping by rules."""
    from tfprune.mapping.searching import search

    given = {name: options[name] for name in ("trials", "epochs", "workers", "storage", "seed")}
    with showing():
        return search(
            model,
            options["profile"],
            **{name: options[name] for name in _BUDGETS},
            **examples,
            method=options["method"],
            start=[start.choices],
            **_of_file(options),
            **{name: value for name, value in given.items() if value is not None},
        )


def _of_file(options: dict[str, Any]) -> dict[str, Any]:
    """What is said of the file that the model becomes, and of the profile."""
    data = options["representative_data"]
    return {
        "min_speedup": options["min_speedup"],
        "precision": options["precision"],
        "representative_data": None if data is None else read_arrays(data, DATA_OPTION),
        "force": options["force"],
    }


def _examples(path: Path, option: str) -> tuple[Any, Any]:
    """Inputs and labels of a file."""
    from tfprune.mapping.judging.examples import check_examples

    arrays = read_arrays(path, option)
    if not isinstance(arrays, dict) or _LABELS not in arrays or len(arrays) == 1:
        found = ", ".join(arrays) if isinstance(arrays, dict) else "one array without a name"
        raise RuntimeInputError(
            f"{option}: `{path}` must be a .npz file with the labels as {_LABELS} and the inputs as {_INPUTS} or by "
            f"their names, got {found or 'none'}; write it with numpy.savez(path, x=images, y=labels)"
        )
    labels = arrays.pop(_LABELS)
    examples = (arrays[_INPUTS] if set(arrays) == {_INPUTS} else arrays), labels
    check_examples(examples, option)
    return examples
