# SPDX-License-Identifier: Apache-2.0
"""Tables and figures of studies, made from the table of results alone."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import click

from accuracy.answers import Difference, Group, Mean, differences, groups_of, mean_of, missing
from accuracy.plan import Plan, Study
from accuracy.point import DENSE
from accuracy.table import Row

_SIZE = (7.0, 4.2)
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
    left = missing(study, rows)
    parts = [f"{len(study.points) - left} of {len(study.points)} points so far."] if left else []
    if groups:
        parts.append(_means(groups))
    tests = list(differences(study, rows))
    if tests:
        parts.append(_tests(tests))
    if pictures and _curves(groups):
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
        ClickException: the page names a study that the plan has not, or a mark has no end.
    """
    known = {study.name: study for study in plan.studies}

    def made(match: re.Match[str]) -> str:
        name, content = match.group(1), match.group(2)
        if _BEGIN.search(content):
            raise click.ClickException(f"study {name!r}: its mark in the page must have an end, {_END}")
        if name not in known:
            raise click.ClickException(f"the page must name studies of the plan, {', '.join(known)}; it has {name!r}")
        return f"<!-- study: {name} -->\n\n{section(known[name], rows, pictures)}\n\n{_END}"

    return _SECTION.sub(made, page)


def _means(groups: dict[Group, dict[int, Row]]) -> str:
    lines = [
        "| network | method | training | zeros | weights left | MACs left | magnitude kept | accuracy in LiteRT | int8 "
        "| KB | int8 KB | seeds |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (network, width, method, phase, sparsity), by_seed in groups.items():
        found = list(by_seed.values())
        kept = [row["kept_magnitude"] for row in found if row["kept_magnitude"] is not None]
        cells = [
            f"{network} {width:g}",
            method,
            phase,
            "-" if sparsity is None else f"{sparsity:.0%}",
            f"{_average(found, 'weights'):.1%}",
            f"{_average(found, 'macs'):.1%}",
            f"{sum(kept) / len(kept):.1%}" if kept else "-",
            percent(mean_of([row["accuracy"] for row in found])),
            percent(mean_of([row["int8_accuracy"] for row in found])),
            f"{_average(found, 'bytes') / 1000:.0f}",
            f"{_average(found, 'int8_bytes') / 1000:.0f}",
            str(len(found)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _tests(found: list[Difference]) -> str:
    lines = ["| network | training | zeros | | against | points | p | seeds |", "|---|---|---|---|---|---|---|---|"]
    for each in found:
        gap = each.difference
        spread = "" if math.isnan(gap.half) else f" ± {gap.half * 100:.2f}"
        cells = [
            f"{each.network} {each.width:g}",
            each.phase,
            "-" if each.sparsity is None else f"{each.sparsity:.0%}",
            each.better,
            each.worse,
            f"{gap.mean * 100:+.2f}{spread}",
            "-" if math.isnan(each.p) else f"{each.p:.3f}",
            str(gap.count),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def percent(value: Mean) -> str:
    """``"91.23 % ± 0.10"``."""
    spread = "" if math.isnan(value.half) else f" ± {value.half * 100:.2f}"
    return f"{value.mean * 100:.2f} %{spread}"


def file_name(study: Study) -> str:
    """Of its figure."""
    return f"accuracy_{study.name.lower().replace(' ', '_')}.png"


def draw(study: Study, rows: dict[str, Row], folder: Path) -> Path | None:
    """Accuracy over the share of zeros, a line a method and a panel a network; None where there is no such line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = groups_of(study, rows)
    curves = _curves(groups)
    if not curves:
        return None
    figure, axes = pyplot.subplots(
        1, len(curves), figsize=(_SIZE[0] * len(curves), _SIZE[1]), squeeze=False, layout="constrained"
    )
    for place, (network, lines) in enumerate(curves.items()):
        _panel(axes[0][place], network, lines, _dense(groups, network))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(study)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def _panel(axes: Any, network: str, lines: dict[str, list[tuple[float, Mean]]], dense: float | None) -> None:
    for label, points in lines.items():
        zeros = [100 * rate for rate, _ in points]
        halves = [0 if math.isnan(mean.half) else 100 * mean.half for _, mean in points]
        axes.errorbar(zeros, [100 * mean.mean for _, mean in points], halves, label=label, marker="o", capsize=3)
    if dense is not None:
        axes.axhline(100 * dense, color="grey", linestyle="--", label=DENSE)
    axes.set_xlabel("zeros of the pruned layers, %")
    axes.set_ylabel("accuracy in LiteRT, %")
    axes.set_title(network)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


def _curves(groups: dict[Group, dict[int, Row]]) -> dict[str, dict[str, list[tuple[float, Mean]]]]:
    """By network and method; methods of several trainings are told apart by them."""
    phases = {phase for _, _, _, phase, sparsity in groups if sparsity is not None}
    found: dict[str, dict[str, list[tuple[float, Mean]]]] = defaultdict(lambda: defaultdict(list))
    for (network, width, method, phase, sparsity), by_seed in groups.items():
        if sparsity is not None:
            label = method if len(phases) == 1 else f"{method}, {phase}"
            mean = mean_of([row["accuracy"] for row in by_seed.values()])
            found[f"{network} {width:g}"][label].append((sparsity, mean))
    return {network: dict(lines) for network, lines in found.items()}


def _dense(groups: dict[Group, dict[int, Row]], network: str) -> float | None:
    for (name, width, method, _, _), by_seed in groups.items():
        if method == DENSE and f"{name} {width:g}" == network:
            return mean_of([row["accuracy"] for row in by_seed.values()]).mean
    return None


def _average(found: list[Row], field: str) -> float:
    return float(sum(row[field] for row in found) / len(found))
