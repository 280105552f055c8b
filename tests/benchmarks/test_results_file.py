# SPDX-License-Identifier: Apache-2.0
"""Files of results: replaced as a whole, and with every command that made their rows."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROWS = {"one": {"us": 1.5}}


def test_a_file_is_replaced_and_not_written_over(load: Callable[[str], ModuleType], tmp_path: Path) -> None:
    results = load("results_file")
    path, other = tmp_path / "results.json", tmp_path / "other name"
    results.write_rows(path, ROWS)
    os.link(path, other)
    before = other.read_text()
    results.write_rows(path, {**ROWS, "two": {"us": 2.5}})
    # Whoever was interrupted in between would have this one.
    assert other.read_text() == before
    assert results.read_rows(path) == {**ROWS, "two": {"us": 2.5}}
    assert sorted(tmp_path.iterdir()) == [other, path]


def test_every_command_that_made_rows_is_named(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    results = load("results_file")
    path = tmp_path / "results.json"

    def write(command: str, rows: dict[str, dict[str, float]]) -> list[str]:
        monkeypatch.setattr(sys, "argv", command.split())
        results.write_rows(path, rows)
        commands: list[str] = json.loads(path.read_text())["commands"]
        return commands

    first, second = "python layers.py --limit 1", "python layers.py --limit 2"
    assert write("layers.py --limit 1", ROWS) == [first]
    both = {**results.read_rows(path), "two": {"us": 2.5}}
    assert write("layers.py --limit 2", both) == [first, second]
    assert write("layers.py --limit 2", both) == [first, second]
    # Measured anew: nothing of the earlier commands is left.
    assert write("layers.py", {"one": {"us": 1.25}}) == ["python layers.py"]


def test_rows_of_another_library_are_not_taken(load: Callable[[str], ModuleType], tmp_path: Path) -> None:
    results = load("results_file")
    path, library = tmp_path / "results.json", tmp_path / "libtfprune.so"
    library.write_bytes(b"another")
    results.write_rows(path, ROWS, library=library)
    assert results.read_rows(path) == {}
    assert results.read_rows(path, library) == ROWS
