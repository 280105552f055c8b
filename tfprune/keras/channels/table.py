# SPDX-License-Identifier: Apache-2.0
"""Tables of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def text_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lays texts out in columns.

    Args:
        headings: Text over each column.
        rows: Texts of each row, as many as there are headings.

    Returns:
        Lines without trailing spaces, with a rule below the headings.

    Example:
        >>> print(text_table(("layer", "size"), [("conv", "3x3")]))
        layer  size
        -----  ----
        conv   3x3
    """
    listed = [tuple(headings), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in listed) for column in range(len(headings))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in listed]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


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
