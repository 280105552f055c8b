# SPDX-License-Identifier: Apache-2.0
"""Tables of studies, made from the table of results alone."""

from __future__ import annotations

import math
import re

import click

from accuracy.answers import (
    Difference,
    Forecast,
    Mean,
    costs_of,
    differences,
    forecasts,
    groups_of,
    mean_of,
    missing,
    predicted,
)
from accuracy.figures import file_name, has_figure
from accuracy.plan import Plan, Study
from accuracy.point import Group
from accuracy.table import Row

#: Smaller ones are not told.
_LEAST_P = 0.001
_END = "<!-- end -->"
_BEGIN = re.compile(r"<!-- study: (.+?) -->")
_SECTION = re.compile(rf"{_BEGIN.pattern}(.*?){re.escape(_END)}", re.DOTALL)


def markdown(plan: Plan, rows: dict[str, Row], pictures: str = "") -> str:
    """A page: for each study with results a heading, its question, and what :func:`section` says.

    Args:
        plan: the plan.
        rows: of the table of results, by key.
        pictures: folder of the figures as the page names it; ``""``: none.
    """
    found = [study for study in plan.studies if groups_of(study, rows)]
    return "\n\n".join(f"### {study.name}\n\n{study.question}\n\n{section(study, rows, pictures)}" for study in found)


def section(study: Study, rows: dict[str, Row], pictures: str = "") -> str:
    """The table of a study, its tests and its figure.

    Args:
        study: the study.
        rows: of the table of results, by key.
        pictures: folder of the figures as the page names it; ``""``: none.
    """
    groups = groups_of(study, rows)
    left, count = missing(study, rows), len({point.key for point in study.points})
    if not groups:
        return "Not trained yet."
    parts = [f"{count - left} of {count} trainings done."] if left else []
    parts.append(_means(groups, costs_of(study)))
    tests = list(differences(study, rows))
    told = list(forecasts(study, rows))
    if tests:
        parts.append(_tests(tests, [predicted(each, told, groups) for each in tests]))
    # Points of two names may be one training.
    parts.append(_int8(list({row["key"]: row for by_seed in groups.values() for row in by_seed.values()}.values())))
    if told:
        parts.append(_forecasts(told))
    if pictures and has_figure(study, rows):
        parts.append(f"![{study.name}]({pictures}/{file_name(study)})")
    return "\n\n".join(parts)


def with_sections(page: str, plan: Plan, rows: dict[str, Row], pictures: str = "") -> str:
    """A page with its sections made anew: what stands between ``<!-- study: NAME -->`` and ``<!-- end -->``.

    Args:
        page: Markdown.
        plan: the plan.
        rows: of the table of results, by key.
        pictures: as for :func:`section`.

    Raises:
        ClickException: the page has no mark, names a study that the plan has not, or a mark has no end.
    """
    known = {study.name: study for study in plan.studies}

    def made(match: re.Match[str]) -> str:
        name = match.group(1)
        if _BEGIN.search(match.group(2)):
            raise _no_end(name)
        if name not in known:
            raise click.ClickException(f"the page must name studies of the plan, {', '.join(known)}; it has {name!r}")
        return f"<!-- study: {name} -->\n\n{section(known[name], rows, pictures)}\n\n{_END}"

    if not _BEGIN.search(page):
        raise click.ClickException(f"the page must have marks, <!-- study: NAME --> and {_END}, it has none")
    last = page.rfind(_END)
    open_mark = _BEGIN.search(page, max(last, 0))
    if open_mark is not None:
        raise _no_end(open_mark.group(1))
    return _SECTION.sub(made, page)


def unmarked(page: str, plan: Plan) -> list[str]:
    """Studies of the plan that a page has no mark of."""
    marked = set(_BEGIN.findall(page))
    return [study.name for study in plan.studies if study.name not in marked]


def _no_end(name: str) -> click.ClickException:
    return click.ClickException(f"study {name!r}: its mark in the page must have an end, {_END}")


def _means(groups: dict[Group, dict[int, Row]], costs: dict[Group, dict[str, float]]) -> str:
    names = list(dict.fromkeys(name for own in costs.values() for name in own))
    heads = ["network", "method", "training", *names, "target zeros", "weights left", "MACs left", "MACs left, shrunk"]
    heads += ["magnitude kept", "accuracy in LiteRT", "int8 accuracy", "KB", "int8 KB", "seeds"]
    lines = []
    for group, by_seed in groups.items():
        network, width, method, phase, sparsity = group
        found = list(by_seed.values())
        cells = [
            f"{network} {width:g}",
            method,
            phase,
            *(f"{costs[group][name]:.3g}" if name in costs[group] else "-" for name in names),
            "-" if sparsity is None else f"{sparsity:.0%}",
            f"{_average(found, 'weights'):.1%}",
            f"{_average(found, 'macs'):.1%}",
            _known(found, "shrunk_macs"),
            _known(found, "kept_magnitude"),
            percent(mean_of([row["accuracy"] for row in found])),
            percent(mean_of([row["int8_accuracy"] for row in found])),
            f"{_average(found, 'bytes') / 1000:.0f}",
            f"{_average(found, 'int8_bytes') / 1000:.0f}",
            str(len(found)),
        ]
        lines.append(cells)
    return table(heads, lines)


def _tests(found: list[Difference], said: list[float]) -> str:
    """The differences, beside what kept magnitude says of them where it says anything."""
    heads = ["network", "training", "target zeros", "method", "compared with", "difference, points", "p", "seeds"]
    tells = not all(math.isnan(each) for each in said)
    if tells:
        heads.append("magnitude predicts")
    lines = []
    for each, told in zip(found, said, strict=True):
        gap = each.difference
        spread = "" if math.isnan(gap.half) else f" ± {gap.half * 100:.2f}"
        cells = [
            f"{each.network} {each.width:g}",
            each.phase,
            "-" if each.sparsity is None else f"{each.sparsity:.0%}",
            each.first,
            each.second,
            f"{gap.mean * 100:+.2f}{spread}",
            "-" if math.isnan(each.p) else f"{each.p:.3f}" if each.p >= _LEAST_P else f"< {_LEAST_P}",
            str(gap.count),
        ]
        if tells:
            cells.append("-" if math.isnan(told) else f"{told * 100:+.2f}")
        lines.append(cells)
    return table(heads, lines)


def _int8(rows: list[Row]) -> str:
    gaps = [100 * (row["int8_accuracy"] - row["accuracy"]) for row in rows]
    mean, count = sum(gaps) / len(gaps), len(gaps)
    return (
        f"int8 minus float32: {mean:+.2f} points on average over {count} trainings "
        f"(from {min(gaps):+.2f} to {max(gaps):+.2f})."
    )


def _forecasts(found: list[Forecast]) -> str:
    each = [
        f"{one.correlation:.2f} and {100 * one.slope * math.log(2):.1f} points at {one.sparsity:.0%} "
        f"({one.network} {one.width:g}, {one.phase}, {one.count} methods)"
        for one in found
    ]
    return (
        "Rank correlation of magnitude kept and accuracy, and what twice the magnitude is worth on the line through "
        f"all methods: {'; '.join(each)}."
    )


def table(heads: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown.

    Args:
        heads: of its columns.
        lines: cells of each line.
    """
    return "\n".join([_line(heads), "|---" * len(heads) + "|", *map(_line, lines)])


def _line(cells: list[str]) -> str:
    text = " | ".join(cell.replace("|", r"\|") for cell in cells)
    return f"| {text} |"


def percent(value: Mean) -> str:
    """``"91.23 % ± 0.10"``."""
    spread = "" if math.isnan(value.half) else f" ± {value.half * 100:.2f}"
    return f"{value.mean * 100:.2f} %{spread}"


def _known(found: list[Row], field: str) -> str:
    """The mean of a share that not every row has."""
    known = [row for row in found if row[field] is not None]
    return f"{_average(known, field):.1%}" if known else "-"


def _average(found: list[Row], field: str) -> float:
    return float(sum(row[field] for row in found) / len(found))
