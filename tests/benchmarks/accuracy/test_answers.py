# SPDX-License-Identifier: Apache-2.0
"""Means, intervals and tests of differences, and the page they make."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from PIL import Image
from scipy import stats

from tests.benchmarks.accuracy.test_plan import PLAN, read
from tests.benchmarks.accuracy.test_table import row

Load = Callable[[str], ModuleType]


@pytest.fixture
def plan(load: Load, tmp_path: Path) -> Any:
    return read(load, tmp_path, PLAN)


@pytest.fixture
def rows(load: Load, plan: Any) -> dict[str, Any]:
    """The accuracy is 0.9 less 0.1 for a pruned one, and a bit by seed; those of the other network are missing."""
    table = load("accuracy.table")
    found = {}
    for point in plan.studies[0].points:
        if point.network == "resnet20":
            accuracy = 0.9 - 0.1 * (point.method == "free") + 0.01 * point.seed**2 * (point.method == "free")
            kept = 0.4 if point.recipe else None
            found[point.key] = row(
                table,
                point.key,
                accuracy=accuracy,
                kept_magnitude=kept,
                weights=0.25,
                epochs=f"2+{point.training.epochs}",
            )
    return found


def test_intervals_are_those_of_student(load: Load) -> None:
    answers = load("accuracy.answers")
    values = [0.91, 0.93, 0.92, 0.95]
    found = answers.mean_of(values)
    low, high = stats.t.interval(0.95, 3, loc=found.mean, scale=stats.sem(values))
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))
    assert all(math.isnan(answers.mean_of(few).half) for few in ([0.9], [0.9, 0.91]))
    assert answers.mean_of([0.9, 0.92]).mean == pytest.approx(0.91)


def test_differences_pair_what_began_at_the_same_checkpoint(load: Load, tmp_path: Path) -> None:
    text = PLAN.replace("{name: dense}", "{name: filters, pattern: Filters}").replace(
        "[free, dense]", "[free, filters]"
    )
    text = text.replace("seeds: [0, 1, 2]", "seeds: [0, 1, 2, 3]").replace("seeds: [0, 1]\n", "seeds: [0, 1, 2]\n")
    study = read(load, tmp_path, text).studies[0]
    better = {0: 0.02, 1: 0.03, 2: 0.07, 3: 0.5}
    accuracies = {point.key: 0.8 + 0.01 * point.seed for point in study.points}
    accuracies |= {
        point.key: 0.8 + 0.01 * point.seed + better[point.seed] for point in study.points if point.method == "free"
    }
    found = list(
        load("accuracy.answers").differences(
            study, {key: {"accuracy": value, "epochs": "2+1"} for key, value in accuracies.items()}
        )
    )
    assert len(found) == 4  # two networks at two rates
    for each in found:
        # The fourth seed has no partner.
        assert (each.first, each.second, each.difference.count) == ("free", "filters", 3)
        assert each.difference.mean == pytest.approx(0.04)
        assert each.p == pytest.approx(stats.ttest_1samp([0.02, 0.03, 0.07], 0).pvalue)


def test_a_method_of_one_rate_is_compared_with_every_other(load: Load, tmp_path: Path) -> None:
    other = "{name: kept, pattern: {KernelElements: {keep: 2}}, seeds: [0, 1]}"
    text = PLAN.replace("{name: dense}", other).replace("[free, dense]", "[free, kept]")
    study = read(load, tmp_path, text).studies[0]
    rows = {point.key: {"accuracy": 0.5 + 0.1 * (point.method == "free"), "epochs": "2+1"} for point in study.points}
    found = list(load("accuracy.answers").differences(study, rows))
    assert {(each.network, each.sparsity) for each in found} == {
        (network, rate) for network in ("resnet20", "vgg") for rate in (0.8, 0.9)
    }
    # Two seeds are too few for a test.
    assert all(each.difference.mean == pytest.approx(0.1) and math.isnan(each.p) for each in found)


def test_a_narrower_network_is_compared_if_it_was_trained_as_long(load: Load, tmp_path: Path) -> None:
    def found(epochs: int) -> list[Any]:
        text = PLAN.replace("short: {epochs: 1", f"short: {{epochs: {epochs}")
        study = read(load, tmp_path, text.replace("[free, dense]", "[free, narrower]")).studies[0]
        rows = {point.key: {"accuracy": 0.9 if point.method == "free" else 0.8} for point in study.points}
        return list(load("accuracy.answers").differences(study, rows))

    assert {(each.network, each.sparsity) for each in found(1)} == {
        (network, rate) for network in ("resnet20", "vgg") for rate in (0.8, 0.9)
    }
    assert not found(2)


def test_nothing_of_another_rate_stands_in_for_what_is_not_trained_yet(load: Load, tmp_path: Path) -> None:
    text = PLAN.replace("{name: dense}", "{name: filters, pattern: Filters}").replace(
        "[free, dense]", "[free, filters]"
    )
    study = read(load, tmp_path, text).studies[0]
    rows = {
        point.key: {"accuracy": 0.8} for point in study.points if point.sparsity == 0.8 or point.method != "filters"
    }
    found = list(load("accuracy.answers").differences(study, rows))
    assert {(each.network, each.sparsity) for each in found} == {("resnet20", 0.8), ("vgg", 0.8)}


def test_of_equal_differences_there_is_no_test(load: Load) -> None:
    """Of shares of 10,000 images: as numbers they differ by a bit."""
    gaps = [0.8003 - 0.8, 0.804 - 0.8037, 0.8003 - 0.8]
    assert len(set(gaps)) > 1
    assert math.isnan(load("accuracy.answers")._p_value(gaps))


def test_a_training_of_two_names_counts_once(load: Load, tmp_path: Path) -> None:
    again = "{name: free, pattern: {Groups: {rows: 4}}, seeds: [0, 1, 2], scores: l2}"
    study = read(load, tmp_path, PLAN.replace(again, f"{again}\n      - {again.replace('free', 'same')}", 1)).studies[0]
    points = [point for point in study.points if point.network == "vgg"]
    rows = {point.key: row(load("accuracy.table"), point.key) for point in points}
    distinct = len({point.key for point in study.points})
    assert len(rows) < len(points)
    text = load("accuracy.report").section(study, rows)
    assert f"{len(rows)} of {distinct} trainings done." in text
    assert f"points on average over {len(rows)} trainings" in text


def test_a_method_is_held_against_the_line_between_two_others_at_its_cost(load: Load, tmp_path: Path) -> None:
    widths = "".join(
        f"\n      - {{name: {name}, width: {width}, costs: {{time: {time}}}}}"
        for name, width, time in (("slower", 6, 0.6), ("faster", 4, 0.5))
    )
    text = PLAN.replace("\n      - {name: narrower, width: 4, trainings: [short]}", widths)
    text = text.replace("seeds: [0, 1, 2], scores", "costs: {time: 0.52}, scores").replace(
        "seeds: [0, 1]\n", "seeds: [0, 1, 2]\n"
    )
    study = read(load, tmp_path, text.replace("[free, dense]", "[free, slower, faster]")).studies[0]
    accuracies = {"free": (0.9, 0.91, 0.93), "slower": (0.9, 0.9, 0.9), "faster": (0.8, 0.85, 0.8), "dense": (1, 1, 1)}
    rows = {point.key: {"accuracy": accuracies[point.method][point.seed], "epochs": "2+1"} for point in study.points}
    found = list(load("accuracy.answers").differences(study, rows))
    # Two networks at two rates; the line has 0.2 of the slower one.
    assert len(found) == 4
    for each in found:
        assert (each.first, each.second) == ("free", "the line from slower to faster")
        assert each.difference.mean == pytest.approx((0.9 - 0.82 + 0.91 - 0.86 + 0.93 - 0.82) / 3)
        assert each.p == pytest.approx(stats.ttest_1samp([0.08, 0.05, 0.11], 0).pvalue)


def test_trainings_are_compared_method_by_method(load: Load, tmp_path: Path) -> None:
    text = PLAN.replace("trainings: [gradual]\n", "trainings: [gradual, short]\n", 1)
    study = read(load, tmp_path, text.replace("[free, dense]", "[gradual, short]")).studies[0]
    gaps = {0: 0.02, 1: 0.03, 2: 0.05}
    rows = {
        point.key: {"accuracy": 0.8 + gaps[point.seed] * (point.phase == "gradual"), "epochs": "2+1"}
        for point in study.points
    }
    found = {each.first: each for each in load("accuracy.answers").differences(study, rows) if each.network == "vgg"}
    # The narrower one has one training only.
    assert {(each.first, each.second, each.phase) for each in found.values()} == {
        (f"{method}, gradual", f"{method}, short", "-") for method in ("dense", "free")
    }
    free = found["free, gradual"]
    assert (free.difference.count, free.sparsity) == (3, 0.9)
    assert free.p == pytest.approx(stats.ttest_rel([0.82, 0.83, 0.85], [0.8] * 3).pvalue)


#: Methods of a plan, enough for a forecast.
NAMES = ("a", "b", "c", "d", "e")
PLAN_OF_MANY = PLAN.replace(
    "\n      - {name: dense}",
    "\n      - {name: dense}"
    + "".join(
        f"\n      - {{name: {name}, pattern: {{Groups: {{rows: {2 + place}}}}}}}" for place, name in enumerate(NAMES)
    ),
)


def test_kept_magnitude_is_held_against_accuracy(load: Load, tmp_path: Path) -> None:
    study = read(load, tmp_path, PLAN_OF_MANY).studies[0]
    kept = dict(zip(NAMES, (0.5, 0.6, 0.7, 0.8, 0.9), strict=True))
    # The third one is the best, the others are in order.
    accuracies = {**dict(zip(NAMES, (0.81, 0.82, 0.89, 0.83, 0.84), strict=True)), "free": 0.95}
    rows = {
        point.key: {"accuracy": accuracies.get(point.method, 0.9), "kept_magnitude": kept.get(point.method)}
        for point in study.points
    }
    found = list(load("accuracy.answers").forecasts(study, rows))
    assert {(each.network, each.sparsity) for each in found} == {
        (network, rate) for network in ("resnet20", "vgg") for rate in (0.8, 0.9)
    }
    assert all(each.count == 5 and each.correlation == pytest.approx(0.7) for each in found)


def test_a_line_over_the_logarithm_of_magnitude_predicts_differences(load: Load, tmp_path: Path) -> None:
    study = read(load, tmp_path, PLAN_OF_MANY.replace("[free, dense]", "[b, e]")).studies[0]
    kept = dict(zip(NAMES, (0.1, 0.2, 0.4, 0.5, 0.8), strict=True))
    # Twice the magnitude is 0.05 of accuracy; the last one lies 0.05 above the line and the first 0.05 below.
    above = {"a": -0.05, "e": 0.05}
    rows = {
        point.key: row(
            load("accuracy.table"),
            point.key,
            accuracy=0.9 + 0.05 * math.log2(kept[point.method]) + above.get(point.method, 0.0)
            if point.method in kept
            else 0.95,
            kept_magnitude=kept.get(point.method),
        )
        for point in study.points
        if point.network == "vgg"
    }
    answers, report = load("accuracy.answers"), load("accuracy.report")
    told = list(answers.forecasts(study, rows))
    line = stats.linregress(
        [math.log(kept[name]) for name in NAMES],
        [0.9 + 0.05 * math.log2(kept[name]) + above.get(name, 0.0) for name in NAMES],
    )
    assert [each.slope for each in told] == pytest.approx([line.slope] * 2)
    groups = answers.groups_of(study, rows)
    found = list(answers.differences(study, rows))
    assert [each.difference.mean for each in found] == pytest.approx([-0.15] * 2)
    said = [answers.predicted(each, told, groups) for each in found]
    assert said == pytest.approx([-line.slope * math.log(4)] * 2)
    text = report.section(study, rows)
    assert f"| {100 * said[0]:+.2f} |" in text
    assert f"1.00 and {100 * line.slope * math.log(2):.1f} points at 80% (vgg 8, gradual, 5 methods)" in text
    # Nothing has no logarithm.
    nothing = {key: {**each, "kept_magnitude": each["kept_magnitude"] and 0.0} for key, each in rows.items()}
    assert "magnitude predicts" not in report.section(study, nothing)
    # Four methods tell of no line.
    few = {key: each for key, each in rows.items() if each["kept_magnitude"] != kept["a"]}
    assert "magnitude predicts" not in report.section(study, few)


def test_a_page_says_what_int8_loses(load: Load, plan: Any, rows: dict[str, Any]) -> None:
    for place, row_of_one in enumerate(rows.values()):
        row_of_one["int8_accuracy"] = row_of_one["accuracy"] - (0.01 if place == 0 else 0.0)
    text = load("accuracy.report").section(plan.studies[0], rows)
    assert (
        f"int8 minus float32: {-1 / len(rows):+.2f} points on average over {len(rows)} trainings (from -1.00 to +0.00)."
        in text
    )


@pytest.mark.parametrize("figure", ["zeros", "macs", "costs", "methods"])
def test_a_figure_says_what_it_is_over(
    figure: str, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib import axes, pyplot

    text = PLAN.replace("seeds: [0, 1]\n", f"seeds: [0, 1]\n    figure: {figure}\n", 1)
    if figure == "costs":
        names = ("{name: dense", "seeds: [0, 1, 2], scores: l2", "width: 4, trainings: [short]")
        for name, share in zip(names, (1, 0.25, 0.5), strict=True):
            text = text.replace(name, f"{name}, costs: {{energy: {share}, time: 0.9}}", 1)
    study = read(load, tmp_path, text).studies[0]
    table, figures = load("accuracy.table"), load("accuracy.figures")
    rows = {
        point.key: row(table, point.key, accuracy=0.9, shrunk_macs=0.3, epochs=f"2+{point.training.epochs}")
        for point in study.points
    }
    drawn: list[Any] = []
    kept, close = axes.Axes.errorbar, pyplot.close
    monkeypatch.setattr(
        axes.Axes, "errorbar", lambda self, *args, **named: drawn.append(args) or kept(self, *args, **named)
    )
    monkeypatch.setattr(pyplot, "close", lambda figure: None)
    assert figures.draw(study, rows, tmp_path / "pictures")
    labels = {"zeros": {"zeros"}, "macs": {"accuracy", "multiply-adds"}, "costs": {"accuracy", "energy,"}}
    drawings = pyplot.gcf().axes
    assert {each.get_xlabel().split()[0] for each in drawings} == labels.get(figure, {"accuracy"})
    lengths = {round(bar.get_width()) for each in drawings for bar in each.patches}
    close("all")
    assert lengths == {"macs": {30, 100}, "costs": {100, 25, 50}}.get(figure, set())
    assert {round(x) for values, *_ in drawn for x in values} == ({80, 90} if figure == "zeros" else {90})


def test_costs_stand_in_the_table(load: Load, tmp_path: Path, rows: dict[str, Any]) -> None:
    costs = "costs: {time: 0.4321, int8 time: 1.5}"
    study = read(load, tmp_path, PLAN.replace("seeds: [0, 1, 2], ", f"seeds: [0, 1, 2], {costs}, ")).studies[0]
    lines = load("accuracy.report").section(study, rows).splitlines()
    heads = next(line for line in lines if "accuracy in LiteRT" in line).split("|")
    for name, shown in (("time", "0.432"), ("int8 time", "1.5")):
        place = heads.index(f" {name} ")
        cells = {line.split("|")[2].strip(): line.split("|")[place].strip() for line in lines if "resnet20" in line}
        assert (cells["free"], cells["narrower"]) == (shown, "-")


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("<!-- study: other --><!-- end -->", "must name studies of the plan, first, second; it has 'other'"),
        ("<!-- study: first --> <!-- study: second --><!-- end -->", "'first': its mark in the page must have an end"),
        ("<!-- study: first --><!-- end --> <!-- study: second -->", "'second': its mark in the page must have an end"),
        ("<!-- study: second -->", "'second': its mark in the page must have an end"),
        ("no mark", "the page must have marks"),
    ],
)
def test_pages_that_do_not_fit_the_plan_are_refused(page: str, message: str, load: Load, plan: Any) -> None:
    with pytest.raises(click.ClickException, match=re.escape(message)):
        load("accuracy.report").with_sections(page, plan, {})


def test_signs_of_tables_in_names_do_not_break_them(load: Load, tmp_path: Path) -> None:
    study = read(
        load, tmp_path, PLAN.replace("name: dense}", 'name: "a | b"}').replace("[free, dense]", '[free, "a | b"]')
    )
    study = study.studies[0]
    module = load("accuracy.table")
    accuracies = {"free": 0.8, "a | b": 0.9}
    rows = {
        point.key: row(module, point.key, accuracy=accuracies[point.method] + 0.01 * point.seed**2, epochs="2+1")
        for point in study.points
        if point.method in accuracies
    }
    lines = load("accuracy.report").section(study, rows).splitlines()
    (means, tests) = (
        [line for line in lines if line.startswith(start)] for start in ("| resnet20 8 | a", "| resnet20 8 | g")
    )
    assert [len(re.split(r"(?<!\\)\|", line)) for line in means] == [15]
    assert len(tests) == 2
    assert all(r"| free | a \| b | -10.00 | - | 2 |" in line for line in tests)


def test_the_page_says_how_much_is_missing(load: Load, plan: Any, rows: dict[str, Any], tmp_path: Path) -> None:
    report, figures = load("accuracy.report"), load("accuracy.figures")
    text = report.markdown(plan, rows, "pictures")
    count = len(plan.studies[0].points)
    assert f"{len(rows)} of {count} trainings done." in text
    assert "### second" not in text
    assert report.section(plan.studies[1], rows) == "Not trained yet."
    line = next(each for each in text.splitlines() if "| free | gradual | 80% |" in each)
    # Seeds 0, 1 and 2: 0.80, 0.81 and 0.84.
    assert "81.67 % ± 5.17" in line
    assert "25.0%" in line
    assert "![first](pictures/accuracy_first.png)" in text
    path = figures.draw(plan.studies[0], rows, tmp_path / "pictures")
    with Image.open(path) as image:
        assert image.width > 400
    assert figures.draw(plan.studies[1], rows, tmp_path) is None
