# SPDX-License-Identifier: Apache-2.0
"""Tables of docs/mapping.md from results files."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import mapping_predicted


def text(folder: Path) -> str:
    """All tables, as Markdown."""
    parts = [_predicted(folder / f"mapping_predicted_{device}.json", device) for device in ("arm64", "host")]
    return "\n\n".join(filter(None, [*parts, _accuracy(folder / "mapping_accuracy.json")]))


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


def _accuracy(path: Path) -> str:
    """Mean and spread over seeds of each method, by network and latency."""
    groups: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for key, row in _rows(path).items():
        name, label, rest = key.rsplit(", seed ", 1)[0].split(", ", 2)
        groups[name, label, rest].append(row)
    if not groups:
        return ""
    lines = [
        "| network | latency | method | measured ratio | accuracy | spread | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for (name, label, method), found in groups.items():
        accuracies = [row["accuracy"] for row in found]
        ratios = [row["measured ratio"] for row in found if "measured ratio" in row]
        measured = f"{statistics.mean(ratios):.3f}" if ratios else "1"
        lines.append(
            f"| {name} | {label} | {method} | {measured} | {statistics.mean(accuracies):.2%} | "
            f"{max(accuracies) - min(accuracies):.2%} | {len(accuracies)} |"
        )
    return "\n".join(lines)
