# SPDX-License-Identifier: Apache-2.0
"""Rows of text as a plain table or an HTML table, for the reports' ``str`` and ``_repr_html_``."""

from __future__ import annotations

import html
from collections.abc import Sequence

Rows = Sequence[Sequence[str]]


def text_table(headers: Sequence[str], rows: Rows) -> str:
    """Returns a table in plain text: the first column left, the others right, two spaces between."""
    cells = [list(headers), *(list(row) for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(headers))]
    lines = []
    for row in cells:
        first = row[0].ljust(widths[0])
        others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([first, *others]).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def html_table(headers: Sequence[str], rows: Rows, caption: str = "") -> str:
    """Returns the same table as HTML; every cell is escaped."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in headers)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
