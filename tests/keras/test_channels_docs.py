# SPDX-License-Identifier: Apache-2.0
"""The code blocks of ``docs/channels.md`` run, one after the other, and print what stands below them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "channels.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```\n(?:\n^```\n(.*?)^```)?", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def test_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(BLOCKS) == 3
    names: dict[str, Any] = {"__name__": "docs"}
    for code, printed in BLOCKS:
        exec(compile(code, str(PAGE), "exec"), names)
        found = capsys.readouterr().out
        if printed:
            assert found == printed
