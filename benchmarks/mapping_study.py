# SPDX-License-Identifier: Apache-2.0
"""The plan of a study at equal measured latency, and its recipes, from what each method does to reach it."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import click
import yaml

from mapping_compare import EQUAL, PATTERNS, read, recipe_of
from mapping_costs import INSTRUCTIONS, INT8_INSTRUCTIONS, INT8_TIME, TIME
from mapping_networks import CASES, DENSE_EPOCHS, DENSE_RATE, PRUNING_EPOCHS, PRUNING_RATE, PRUNING_STEPS, TRAINED_ON
from measure import REPOSITORY
from tfprune.files import write_file

FOLDER = REPOSITORY / "benchmarks/accuracy/plans"
_NAME = "equal_latency"
_SEEDS = [0, 1, 2]
#: Width of the whole network, as the studies count it.
_WIDTHS = {"resnet20": 16, "mobilenet_v2": 0.5, "vgg": 32}
_TITLES = {"resnet20": "ResNet-20", "mobilenet_v2": "MobileNetV2", "vgg": "VGG"}
#: Where filters can go out of every convolution: nothing adds its answer to another's.
_SHRINKS = ("vgg",)
#: Networks that are trained for long, the dense one too, and latencies: those that Gong et al. name. docs/mapping.md
#: has what they reach after a short training.
_LONG = {"resnet20": ("wide", "tight"), "mobilenet_v2": ("wide",)}
_SIDES = ("slower", "faster")
_LONG_EPOCHS = 3 * PRUNING_EPOCHS
_HEAD = f"""\
# Methods at equal measured latency, some of them trained for long. Written by `python benchmarks/mapping.py
# study` from benchmarks/results/mapping_plans.json; an epoch of {TRAINED_ON:,} images has 94 steps.
"""
Rows = dict[str, Any]


def write(rows: Rows, folder: Path = FOLDER) -> Path:
    """Writes the plan and its recipes.

    Args:
        rows: of `mapping_plans.json`.
        folder: for them.

    Returns:
        The plan.
    """
    (folder / _NAME).mkdir(parents=True, exist_ok=True)
    schedule = {"PolynomialDecay": {"frequency": PRUNING_STEPS}}
    plan = {
        "name": "Fashion-MNIST at equal latency",
        "data": {"name": "fashion_mnist", "train": TRAINED_ON},
        "dense": {"epochs": DENSE_EPOCHS, "rate": DENSE_RATE},
        "trainings": {
            _phase(epochs): {"epochs": epochs, "rate": PRUNING_RATE, "schedule": schedule}
            for epochs in (PRUNING_EPOCHS, _LONG_EPOCHS)
        },
        "studies": [_study(name, rows, folder) for name in CASES],
    }
    path = folder / f"{_NAME}.yaml"
    write_file(path, (_HEAD + _yaml(plan)).encode(), overwrite=True)
    return path


def _study(name: str, rows: Rows, folder: Path) -> dict[str, Any]:
    epochs = _LONG_EPOCHS if name in _LONG else PRUNING_EPOCHS
    mapped = {
        label: method for label in _LONG.get(name, ("wide",)) if (method := _method(name, label, "rules", rows, folder))
    }
    first = mapped["wide"]["name"]
    others = [each for pattern in PATTERNS if (each := _method(name, "wide", pattern, rows, folder))]
    lines = [
        (method["name"], [_narrower(name, label, side, rows) for side in _SIDES]) for label, method in mapped.items()
    ]
    if name in _SHRINKS:
        lines.append((first, [_shrunk(name, side, rows) for side in _SIDES]))
    return {
        "name": f"{_TITLES[name]} at equal latency",
        "question": f"What does {_TITLES[name]} lose, and what else is as fast?",
        "networks": [{"name": name, "width": _WIDTHS[name]}],
        "trainings": [_phase(epochs)],
        "seeds": _SEEDS,
        "figure": "costs",
        # Filters go out of every convolution.
        **({"min_weights": 0} if name in _SHRINKS else {}),
        "methods": [
            {"name": "dense", "costs": _costs(_measured(rows, f"{name}, dense"))},
            *mapped.values(),
            *others,
            *itertools.chain(*(line for _, line in lines)),
        ],
        "compare": [
            *([each["name"], "dense"] for each in (*mapped.values(), *others)),
            *([first, each["name"]] for each in others),
            *([method, *(each["name"] for each in line)] for method, line in lines),
        ],
    }


def _phase(epochs: int) -> str:
    return f"{epochs} epochs"


def _narrower(name: str, label: str, side: str, rows: Rows) -> dict[str, Any]:
    row = _measured(rows, f"{name}, {label}, narrower dense, {side}")
    width = float(_WIDTHS[name] * row["width"])
    shown = "narrower dense" if label == "wide" else f"narrower dense, {_speedup(name, label)}"
    return {"name": f"{shown}, {side}", "width": width, "costs": _costs(row)}


def _speedup(name: str, label: str) -> str:
    return f"{1 / CASES[name].ratios[label]:.1f}x"


def _shrunk(name: str, side: str, rows: Rows) -> dict[str, Any]:
    """Filters out of every convolution: what is left, once they are out of the arrays, is the narrower network."""
    row = _measured(rows, f"{name}, wide, narrower dense, {side}")
    return {
        "name": f"filters out of arrays, {side}",
        "pattern": "Filters",
        "layers": "stage*",
        "sparsities": [1 - row["width"]],
        "costs": _costs(row),
    }


def _costs(row: dict[str, Any]) -> dict[str, float]:
    others = {name: _measured(row, name) for name in (INT8_TIME, INSTRUCTIONS, INT8_INSTRUCTIONS)}
    return {TIME: row["measured ratio"], **others}


def _measured(found: dict[str, Any], key: str) -> Any:
    if key not in found:
        raise click.ClickException(
            f"benchmarks/results/mapping_plans.json must have {key!r}; run `python benchmarks/mapping.py plans`, and "
            "then `costs` for both devices"
        )
    return found[key]


def _method(name: str, label: str, method: str, rows: Rows, folder: Path) -> dict[str, Any]:
    """A method with its recipe, which is written; nothing where it was not tried or has not reached the latency."""
    row = rows.get(f"{name}, {label}, {method}")
    wanted = CASES[name].ratios[label]
    if row is None or row["measured ratio"] > wanted * (1 + EQUAL):
        return {}
    recipe = recipe_of(read(row["choices"]))
    shown = f"mapped by rules, {_speedup(name, label)}" if method == "rules" else method
    file = f"{_NAME}/{name}_{_words(shown)}.yaml"
    write_file(folder / file, _yaml(recipe.to_dict()).encode(), overwrite=True)
    return {"name": shown, "recipe": file, "costs": _costs(row)}


def _words(name: str) -> str:
    return "_".join(re.findall(r"[a-z0-9]+", name.lower()))


class _Spelt(yaml.SafeDumper):
    """Writes what stands in several places in each of them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(value: Any) -> str:
    return str(yaml.dump(value, Dumper=_Spelt, sort_keys=False, width=120, default_flow_style=None))
