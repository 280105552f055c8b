# SPDX-License-Identifier: Apache-2.0
"""Rows of text as a plain table or an HTML table, for the reports' ``str`` and ``_repr_html_``."""

from __future__ import annotations

import html
from collections.abc import Sequence

Rows = Sequence[Sequence[str]]
# Names of three or more parts begin with the model's.
_MODEL_LAYER_OP = 3


def text_table(headers: Sequence[str], rows: Rows, *, numbers: bool = True) -> str:
    """Lays texts out in columns, two spaces apart, with a rule below the headers and no trailing spaces.

    Args:
        headers: Text over each column.
        rows: Texts of each row, as many as there are headers.
        numbers: Whether all columns but the first are numbers, which stand to the right. Default True.

    Returns:
        The lines.

    Example:
        >>> print(text_table(("layer", "size"), [("conv", "9"), ("dense", "27")]))
        layer  size
        -----  ----
        conv      9
        dense    27
    """
    cells = [list(headers), *(list(row) for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(headers))]
    lines = []
    for row in cells:
        padded = [
            cell.rjust(width) if numbers and place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def html_table(headers: Sequence[str], rows: Rows, caption: str = "") -> str:
    """Returns the same table as HTML; every cell is escaped."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in headers)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def shortened(names: Sequence[str], most: int = 3) -> str:
    """The first few names of a list, and how many more there are.

    Args:
        names: Names.
        most: Names to show.

    Returns:
        One text; ``"-"`` for an empty list.

    Example:
        >>> shortened(["a", "b", "c", "d", "e"])
        'a, b, c, 2 more'
    """
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    return ", ".join(shown) or "-"


def short_name(name: str) -> str:
    """The telling part of a tensor's name that TensorFlow joined from all ops it fused.

    Args:
        name: Names of ops, joined by semicolons.

    Returns:
        The last of them that is no mere number, without the model's name.

    Example:
        >>> short_name("net/conv/x;net/bn/y;1")
        'bn/y'
    """
    names = [part for part in name.split(";") if part and not part.isdigit()]
    parts = (names[-1] if names else name).split("/")
    return "/".join(parts[1:] if len(parts) >= _MODEL_LAYER_OP else parts)
