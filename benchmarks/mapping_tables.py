# SPDX-License-Identifier: Apache-2.0
"""Tables of docs/mapping.md from results files."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import mapping_predicted
from mapping_compare import PATTERNS, SEARCHES

#: The file of what `mapping.py train` found, without its end.
ACCURACY = "mapping_accuracy"


def text(folder: Path) -> str:
    """All tables, as Markdown."""
    parts = [_predicted(folder / f"mapping_predicted_{device}.json", device) for device in ("arm64", "host")]
    rows = _rows(folder / f"{ACCURACY}.json")
    parts += [_accuracy(rows), _equal_accuracy(rows), _search_cost(folder / "mapping_search.json")]
    return "\n\n".join(filter(None, parts))


def _rows(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())["rows"]) if path.exists() else {}


def _predicted(path: Path, device: str) -> str:
    rows = _rows(path)
    if not rows:
        return ""
    groups: dict[str, list[Any]] = defaultdict(list)
    for key, row in rows.items():
        groups[key.rsplit(" ", 1)[0]].append(row)
    lines = [f"| {device} | recipes | median error | 90 % within | rank correlation |", "|---|---|---|---|---|"]
    for name, found in {**groups, "all": list(rows.values())}.items():
        each = mapping_predicted.summary(found)
        lines.append(
            f"| {name} | {each['recipes']} | {each['median error']:.1%} | {each['90 % within']:.1%} | "
            f"{each['rank correlation']:.3f} |"
        )
    return "\n".join(lines)


def _by_method(rows: dict[str, Any]) -> dict[tuple[str, str, str], list[Any]]:
    """Rows of all seeds by network, latency and method; dense networks have no latency."""
    groups: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for key, row in rows.items():
        name, *label, method = key.rsplit(", seed ", 1)[0].replace(", dense", ", -, dense").split(", ", 2)
        groups[name, label[0], method].append(row)
    return groups


def _mean(found: list[Any], field: str) -> float:
    return float(statistics.mean(row.get(field, 1.0) for row in found))


def _accuracy(rows: dict[str, Any]) -> str:
    """Mean and spread over seeds of each method, by network and latency."""
    groups = _by_method(rows)
    if not groups:
        return ""
    lines = [
        "| network | latency | method | measured ratio | zeros | accuracy | spread | seeds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (name, label, method), found in groups.items():
        accuracies = [row["accuracy"] for row in found]
        zeros = f"{_mean(found, 'mean sparsity'):.0%}" if "mean sparsity" in found[0] else "-"
        width = f" {found[0]['width']:g}" if "width" in found[0] else ""
        lines.append(
            f"| {name} | {label} | {method}{width} | {_mean(found, 'measured ratio'):.3f} | {zeros} | "
            f"{statistics.mean(accuracies):.2%} | {max(accuracies) - min(accuracies):.2%} | {len(accuracies)} |"
        )
    return "\n".join(lines)


def _equal_accuracy(rows: dict[str, Any]) -> str:
    """Latency of mappings at the accuracy of the best single pattern, on the line between two measured latencies."""
    groups = _by_method(rows)
    lines = ["| network | best single pattern | method | speed-up at equal accuracy |", "|---|---|---|---|"]
    for name in dict.fromkeys(key[0] for key in groups):
        single = [(key, found) for key, found in groups.items() if key[:2] == (name, "wide") and key[2] in PATTERNS]
        if not single:
            continue
        (_, _, pattern), best = max(single, key=lambda each: _mean(each[1], "accuracy"))
        for method in ("rules", *SEARCHES):
            points = [groups.get((name, label, method)) for label in ("wide", "tight")]
            if points[0] and points[1]:
                lines.append(f"| {name} | {pattern} | {method} | {_speedup(best, points[0], points[1])} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def _speedup(single: list[Any], wide: list[Any], tight: list[Any]) -> str:
    """Latency of a single pattern over that of a method where it is as accurate."""
    wanted, latency = _mean(single, "accuracy"), _mean(single, "measured ratio")
    (slow, slow_at), (fast, fast_at) = (
        (_mean(each, "accuracy"), _mean(each, "measured ratio")) for each in (wide, tight)
    )
    if fast >= wanted:
        return f"at least {latency / fast_at:.2f}x"
    if slow <= wanted:
        return f"below {latency / slow_at:.2f}x"
    return f"{latency / (fast_at + (slow_at - fast_at) * (wanted - fast) / (slow - fast)):.2f}x"


def _search_cost(path: Path) -> str:
    """What searches took."""
    rows = _rows(path)
    lines = [
        "| search | seconds | proposed | judged | judged until near the best | seconds until then | best |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, row in rows.items():
        until = row["seconds"] * row["judged until near"] / row["judged"]
        lines.append(
            f"| {key} | {row['seconds']:.0f} | {row['proposed']} | {row['judged']} | {row['judged until near']} | "
            f"{until:.0f} | {row['best']:.2%} |"
        )
    return "\n".join(lines) if rows else ""
