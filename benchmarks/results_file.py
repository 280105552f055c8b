# SPDX-License-Identifier: Apache-2.0
"""Results as JSON with what they depend on: machine, versions, library, command, date."""

from __future__ import annotations

import datetime
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import tfprune as tp
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


def write_rows(path: Path, rows: Rows, summary: Any = None, library: Path | None = None) -> None:
    """Writes facts, command, date and rows."""
    now = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    command = " ".join(["python", *sys.argv])
    content = {**facts(library), "command": command, "date": now, "summary": summary, "rows": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
