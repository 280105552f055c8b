# SPDX-License-Identifier: Apache-2.0
"""The script that draws the pictures of the documents still does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_draw_patterns(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(ROOT / "tools" / "draw_patterns.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for picture in (ROOT / "docs" / "pictures").iterdir():
        drawn = tmp_path / picture.name
        assert drawn.read_bytes().startswith(b"\x89PNG")
        # Sizes in pixels; bytes may differ between versions of matplotlib.
        assert drawn.read_bytes()[16:24] == picture.read_bytes()[16:24]
