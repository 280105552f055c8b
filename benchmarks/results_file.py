# SPDX-License-Identifier: Apache-2.0
"""Results as JSON with what they depend on: machine, versions, library, commands, date."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import tfprune as tp
from tfprune.files import write_file
from tfprune.runtime.library import library_path
from tfprune.runtime.machine import machine_facts

Rows = dict[str, dict[str, Any]]


def facts(library: Path | None = None) -> dict[str, Any]:
    """What a number of this run depends on; equal facts mean comparable numbers.

    Args:
        library: the libtfprune that was measured; default: the one for this machine.
    """
    digest = hashlib.sha256((library or library_path()).read_bytes()).hexdigest()[:16]
    return {"machine": machine_facts(), "tfprune": tp.__version__, "library sha256": digest}


def read_rows(path: Path, library: Path | None = None) -> Rows:
    """Rows of an earlier run of the same library on the same machine; none otherwise."""
    if not path.exists():
        return {}
    earlier, now = json.loads(path.read_text()), facts(library)
    rows: Rows = earlier["rows"] if {key: earlier.get(key) for key in now} == now else {}
    return rows


def rows_of_any_library(path: Path) -> Rows:
    """Rows of an earlier run, whatever made them; each must name its library itself."""
    rows: Rows = json.loads(path.read_text())["rows"] if path.exists() else {}
    return rows


def commands_of(content: dict[str, Any]) -> list[str]:
    """The commands that made the rows of a file; those of earlier releases name the last one only."""
    commands: list[str] = content.get("commands") or [content["command"]]
    return commands


def write_rows(path: Path, rows: Rows, summary: Any = None, library: Path | None = None) -> None:
    """Writes facts, commands, date and rows: the whole file or, where that fails, nothing."""
    commands = _earlier_commands(path, rows, library)
    command = called()
    if command not in commands:
        commands.append(command)
    content = {**facts(library), "commands": commands, "date": today(), "summary": summary, "rows": rows}
    write_json(path, content)


def training_facts(settings: dict[str, Any]) -> dict[str, Any]:
    """What a number of a training depends on: no library of ours runs there, but its settings count."""
    return {
        "machine": machine_facts(),
        "tfprune": tp.__version__,
        "packages": {name: importlib.metadata.version(name) for name in ("keras", "tensorflow")},
        "command": called(),
        "date": today(),
        "settings": settings,
    }


def called() -> str:
    """How the script was called, as a shell takes it."""
    return shlex.join(["python", *sys.argv])


def today() -> str:
    """The date."""
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes the whole file or, where that fails, nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, (json.dumps(content, indent=1) + "\n").encode(), overwrite=True)


def _earlier_commands(path: Path, rows: Rows, library: Path | None) -> list[str]:
    """The commands of the file so far, where some of its rows are still among these."""
    earlier = read_rows(path, library)
    if not any(rows.get(key) == row for key, row in earlier.items()):
        return []
    return commands_of(json.loads(path.read_text()))
