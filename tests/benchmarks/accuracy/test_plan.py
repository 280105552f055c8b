# SPDX-License-Identifier: Apache-2.0
"""Plans become points, and what is wrong in one is said with its line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.benchmarks.conftest import BENCHMARKS
from tfprune import Recipe
from tfprune.errors import RecipeError
from tfprune.sparsity.layouts import MatrixShape

Load = Callable[[str], ModuleType]

PLAN = """\
name: little
data: {name: fashion_mnist, train: 100}
dense: {epochs: 2, rate: 0.003}
trainings:
  gradual: {epochs: 1, rate: 0.002, schedule: {PolynomialDecay: {frequency: 5}}}
  short: {epochs: 1, rate: 0.001}
studies:
  - name: first
    question: Which is better?
    networks: [{name: resnet20, width: 8}, {name: vgg, width: 8}]
    trainings: [gradual]
    sparsities: [0.8, 0.9]
    seeds: [0, 1]
    methods:
      - {name: dense}
      - {name: free, pattern: {Groups: {rows: 4}}, seeds: [0, 1, 2], scores: l2}
      - {name: narrower, width: 4, trainings: [short]}
    compare: [[free, dense]]
  - name: second
    question: And again?
    networks: [{name: vgg, width: 8}]
    trainings: [gradual]
    sparsities: [0.9]
    seeds: [0]
    methods:
      - {name: the same, pattern: {Groups: {rows: 4}}, scores: l2}
"""
#: Of the second study.
ONE = "      - {name: the same, pattern: {Groups: {rows: 4}}, scores: l2}"


def read(load: Load, folder: Path, text: str) -> Any:
    path = folder / "plan.yaml"
    path.write_text(text)
    return load("accuracy.plan").read_plan(path)


def test_methods_are_multiplied_by_networks_rates_trainings_and_seeds(load: Load, tmp_path: Path) -> None:
    plan = read(load, tmp_path, PLAN)
    first, _ = plan.studies
    counts = {name: sum(point.method == name for point in first.points) for name in ("dense", "free", "narrower")}
    assert counts == {"dense": 2 * 2, "free": 2 * 2 * 3, "narrower": 2 * 2}
    narrower = [point for point in first.points if point.method == "narrower"]
    assert {(point.width, point.training.rate) for point in narrower} == {(4.0, 0.001)}
    free = next(point for point in first.points if point.method == "free")
    (rule,) = Recipe.from_dict(json.loads(free.recipe)).rules
    assert (rule.sparsity, rule.scores, rule.schedule.frequency) == (0.8, "l2", 5)  # type: ignore[union-attr]


def test_points_that_studies_share_are_trained_once(load: Load, tmp_path: Path) -> None:
    first, second = read(load, tmp_path, PLAN).studies
    (shared,) = second.points
    twins = [point for point in first.points if point.key == shared.key]
    assert [(twin.method, twin.sparsity, twin.seed) for twin in twins] == [("free", 0.9, 0)]
    assert len(read(load, tmp_path, PLAN).points) == len(first.points)


def test_what_a_result_depends_on_is_in_its_key(load: Load, tmp_path: Path) -> None:
    known = {point.key for point in read(load, tmp_path, PLAN).points}
    for old, new in {"train: 100": "train: 200", "rate: 0.003": "rate: 0.004", "epochs: 1": "epochs: 3"}.items():
        others = {point.key for point in read(load, tmp_path, PLAN.replace(old, new)).points}
        assert not known & others


def test_where_images_lie_is_not_in_a_key(load: Load, tmp_path: Path) -> None:
    module = load("accuracy.plan")
    (tmp_path / "plan.yaml").write_text(PLAN)
    plans = [module.read_plan(tmp_path / "plan.yaml", folder) for folder in ("", "/elsewhere")]
    assert plans[1].points[0].data.folder == "/elsewhere"
    first, second = ([(point.key, point.checkpoint_key) for point in plan.points] for plan in plans)
    assert first == second


def test_patterns_that_fix_their_rate_have_no_other(load: Load, tmp_path: Path) -> None:
    """Of such a rule with a rate, pruning is refused when it begins."""
    fixed = "{name: fixed, pattern: {KernelElements: {keep: 1}}, seeds: [0]}"
    plan = read(load, tmp_path, PLAN.replace("{name: dense}", f"{{name: dense}}\n      - {fixed}"))
    found = [point for point in plan.studies[0].points if point.method == "fixed"]
    assert [(point.network, point.sparsity) for point in found] == [("resnet20", None), ("vgg", None)]
    (rule,) = Recipe.from_dict(json.loads(found[0].recipe)).rules
    assert (rule.sparsity, rule.schedule.frequency) == (None, 5)  # type: ignore[union-attr]
    with pytest.raises(RecipeError, match=r"line 15, column \d+: a pattern that fixes its rate must have no `sparsit"):
        read(load, tmp_path, PLAN.replace("{name: dense}", fixed.replace("seeds: [0]", "sparsities: [0.8]")))


def test_recipes_come_from_files_beside_the_plan(load: Load, tmp_path: Path) -> None:
    (tmp_path / "mapped.yaml").write_text(
        "rules:\n  - {layers: stem, skip: true}\n  - {layers: null, pattern: Filters, sparsity: 0.5}\nscope: global\n"
    )
    text = PLAN.replace("{name: narrower, width: 4, trainings: [short]}", "{name: mapped, recipe: mapped.yaml}")
    found = next(point for point in read(load, tmp_path, text).points if point.method == "mapped")
    recipe = Recipe.from_dict(json.loads(found.recipe))
    assert recipe.scope == "global"
    skipped, pruned = recipe.rules
    assert skipped.skip
    assert (found.sparsity, pruned.sparsity, pruned.schedule.frequency) == (None, 0.5, 5)  # type: ignore[union-attr]


def test_a_method_says_which_layers_and_a_study_how_small_ones(load: Load, tmp_path: Path) -> None:
    text = PLAN.replace(f"    methods:\n{ONE}", f"    min_weights: 576\n    methods:\n{ONE[:-1]}, layers: '*_conv1'}}")
    (point,) = read(load, tmp_path, text).studies[1].points
    (rule,) = Recipe.from_dict(json.loads(point.recipe)).rules
    assert (rule.layers, rule.min_weights) == (("*_conv1",), 576)
    assert all("min_weights" not in point.recipe for point in read(load, tmp_path, text).studies[0].points)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: resnet20", "name: resnet21", r"line 10, column \d+: `name` must be one of resnet20"),
        ("name: fashion_mnist", "name: mnist", r"line 2, column \d+: `name` must be one of fashion_mnist"),
        ("train: 100", "train: -1", r"line 2, column \d+: `train` must be a whole number >= 0"),
        (
            "trainings: [gradual]",
            "trainings: [gradul]",
            r"line 11, column \d+: `trainings` must name those of the plan",
        ),
        ("compare: [[free, dense]]", "compare: [[free, fre]]", r"line 18, column \d+: `compare` must name methods"),
        ("compare: [[free, dense]]", "compare: [[free]]", r"line 18, column \d+: `compare` must hold pairs of methods"),
        ("{Groups: {rows: 4}}, seeds", "{Groups: {row: 4}}, seeds", r"line 16.*no key 'row'"),
        ("[0.8, 0.9]", "[0.8, 1.0]", r"line 12, column \d+: `sparsities` must be numbers in \(0, 1\)"),
        ("seeds: [0, 1]\n", "seeds: [0, -1]\n", r"line 13, column \d+: `seeds` must be whole numbers"),
        (
            "seeds: [0, 1]\n",
            "seeds: [0, 1]\n    figure: pie\n",
            r"line 14, column \d+: `figure` must be one of zeros, macs",
        ),
        (
            "seeds: [0, 1]\n",
            "seeds: [0, 1]\n    figure: costs\n",
            r"line 14, column \d+: `figure: costs` must stand where all methods have the same first of `costs`",
        ),
        (
            "    compare: [[free, dense]]",
            "      - {name: kept, pattern: {KernelElements: {keep: 2}}}\n    figure: zeros",
            r"line 19, column \d+: `figure: zeros` must stand where all pruned .*Without: kept",
        ),
        ("{name: vgg, width: 8}]", "{name: vgg}]", r"line 10, column \d+: `width` must be given"),
        ("{name: dense}", "{name: dense, costs: {time: 0}}", r"line 15, column \d+: `time` must be above 0"),
        (
            "{name: dense}",
            "{name: dense, layers: stem}",
            r"line 15, column \d+: `layers` must stand beside a `pattern`",
        ),
        ("{name: dense}", "{name: dense, costs: 0.5}", r"line 15, column \d+: `costs` must be a mapping"),
        ("question: Which is better?", "question:", r"line 9.*`question` must be text"),
        ("  - name: second", "  - name: first", "`studies` must have names of their own"),
        ("dense: {epochs: 2", "dense: {epochs: 0", r"line 3, column \d+: `epochs` must be a whole number >= 1"),
        ("name: little", "nam: little", "a plan has no key 'nam'"),
        (
            "compare: [[free, dense]]",
            "compare: [[free, short]]",
            r"line 18, column \d+: `compare` must hold pairs of meth",
        ),
        ("seeds: [0, 1]\n", "seeds: [0, 1, 0]\n", r"line 13, column 19: `seeds` must hold each value once.*0 twice"),
        ("seeds: [0, 1]\n", "seeds: []\n", r"line 13, column \d+: `seeds` must be a list of at least one"),
        ("seeds: [0, 1]\n", "seeds: [4294966296]\n", r"line 13, column \d+: `seeds` must be whole numbers from 0 to"),
        ("trainings: [gradual]", "trainings: [[gradual]]", r"line 11, column \d+: `trainings` must name those"),
        ("compare: [[free, dense]]", "compare: [[{free: 1}, dense]]", r"line 18, column \d+: `compare` must name"),
        (
            "compare: [[free, dense]]",
            "compare: [[free, free]]",
            r"line 18, column \d+: `compare` must hold pairs of methods",
        ),
        (
            "compare: [[free, dense]]",
            "compare: [[free, dense, narrower]]",
            r"line 18, column \d+: `compare` .* the first of whose `costs` lies between those of the two others",
        ),
        ("dense: {epochs: 2", f"dense: {{epochs: 1{'0' * 400}", r"line 3, column 17: `epochs` must be a whole number"),
        ("dense: {epochs: 2", "dense: {epochs: [2]", r"line 3, column 17: `epochs` .* Received: \[2\]"),
        (
            "width: 8}, {name: vgg",
            "width: 8.5}, {name: vgg",
            r"line 10.*`width` must be a whole number >= 1 for resnet20",
        ),
        ("name: vgg, width: 8", "name: small", r"line 17, column 33: `width` must be 1 for small"),
        ("train: 100", "train: 100, size: 32", r"line 2, column \d+: `size` must stand beside imagenet only"),
        ("{PolynomialDecay: {frequency: 5}}", "{PolynomialDecay: {frequency: 0}}", r"line 5, column \d+: `frequency`"),
        ("rate: 0.001}", "rate: 0.001, scores: l3}", r"line 6, column \d+: .*`scores` must be one of"),
        (
            "{name: dense}",
            "{name: dense, pattern: Filters}",
            r"line 15, column \d+: 'dense' must be the name of a method",
        ),
        ("{name: dense}", "{name: dense, sparsities: [0.5]}", r"line 15, column \d+: `sparsities` must stand beside"),
        (
            "{name: dense}",
            "{name: dense}\n      - {name: dense, seeds: [1, 2]}",
            r"line 16, column 9: a study must have a",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, message: str, load: Load, tmp_path: Path) -> None:
    assert old in PLAN
    with pytest.raises(RecipeError, match=message):
        read(load, tmp_path, PLAN.replace(old, new))


@pytest.mark.parametrize("path", sorted((BENCHMARKS / "accuracy/plans").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_plans_that_come_with_it_can_be_read(path: Path, load: Load) -> None:
    plan = load("accuracy.plan").read_plan(path)
    assert plan.points
    for study in plan.studies:
        assert study.question.endswith("?")
    for point in plan.points:
        for rule in Recipe.from_dict(json.loads(point.recipe)).rules if point.recipe else ():
            if rule.pattern is not None and rule.pattern.own_sparsity(MatrixShape(16, 9, 16)) is not None:
                assert rule.final_sparsity is None, point
