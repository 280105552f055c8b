# SPDX-License-Identifier: Apache-2.0
"""``docs/converter.md`` explains every reason that the converter can give, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONVERTER = ROOT / "tfprune" / "converter"
STOCK = CONVERTER / "stock"
# Where the code stands among the arguments.
_CODE = {"Refused": 0, "refuse_all": 1}


def codes(path: Path) -> set[tuple[str, str]]:
    """Name of the function and code of each call with a code that is written out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            argument = node.args[_CODE[name]] if name in _CODE and len(node.args) > _CODE[name] else None
            if isinstance(argument, ast.Constant):
                found.add((name, str(argument.value)))
    return found


def given(stock: bool) -> set[str]:
    """Codes of the stock target or of the delegate's."""
    found = set()
    for path in CONVERTER.rglob("*.py"):
        inside = path.is_relative_to(STOCK)
        found |= {code for name, code in codes(path) if (inside or name == "refuse_all") == stock}
    # A finding before it is decided; no report shows it.
    return found - {"undecided"}


def documented(heading: str) -> set[str]:
    """Codes in the first column of the table of reasons below a heading."""
    page = (ROOT / "docs" / "converter.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = section.partition("| code | why |\n|---|---|\n")[2].partition("\n\n")[0]
    return {code for row in table.splitlines() for code in re.findall(r"`(\w+)`", row.split("|")[1])}


@pytest.mark.parametrize(
    ("heading", "stock"), [("Which layers can be packed", False), ("Reasons of the stock target", True)]
)
def test_every_reason_is_explained(heading: str, stock: bool) -> None:
    assert len(given(stock)) > 15
    assert documented(heading) == given(stock)
