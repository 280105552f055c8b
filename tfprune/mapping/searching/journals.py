# SPDX-License-Identifier: Apache-2.0
"""Whether a file is a whole journal of Optuna: asked before anything is appended to it."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tfprune.errors import MappingError

#: How often, and after how many seconds, a last line is read again that another process may be writing.
_TRIES, _WAIT_SECONDS = 10, 0.2


def check_journal(path: Path) -> None:
    """Refuses a file that is no journal, and one of which a part is lost.

    Optuna would append to either: to a foreign file at once, and to a torn line, which spoils the next one as well.

    Args:
        path: a journal file; one that is not there, or is empty, is as good.

    Raises:
        MappingError: what is wrong with it, and what to do.
    """
    for _ in range(_TRIES):
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        if not lines or lines[-1].endswith(b"\n") or not _is_operation(lines[0]):
            break
        time.sleep(_WAIT_SECONDS)
    broken = next((place for place, line in enumerate(lines, 1) if not _is_operation(line)), None)
    if broken is None:
        return
    if broken == 1 and (lines[0].endswith(b"\n") or not lines[0].startswith(b'{"op_code"')):
        raise MappingError(
            f"storage `{path}` is no journal of a search, and nothing was written to it; give the path of another file"
        )
    if broken == len(lines):
        raise MappingError(
            f"storage `{path}` is torn: its last line, {broken}, is not whole, as after a full disk or a copy that was "
            f"cut off; remove that line, for example with `sed -i '$d' {path}`, and the search goes on before it"
        )
    raise MappingError(
        f"storage `{path}` is damaged: line {broken} of {len(lines)} is not whole; restore the file, or keep the lines "
        f"before it, for example with `head -n {broken - 1}`, or give another storage"
    )


def _is_operation(line: bytes) -> bool:
    """Whether a line is a whole one of a journal."""
    if not line.endswith(b"\n"):
        return False
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and "op_code" in found
