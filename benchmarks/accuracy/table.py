# SPDX-License-Identifier: Apache-2.0
"""The table of results: one row a point, written whole each time, by one runner at a time."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tfprune.files import write_file

#: Columns, in their order: what was trained, what came of it, what it depends on.
COLUMNS = (
    "key",
    "data",
    "network",
    "width",
    "method",
    "training",
    "sparsity",
    "seed",
    "epochs",
    "train_images",
    "test_images",
    "accuracy",
    "int8_accuracy",
    "weights",
    "macs",
    "shrunk_macs",
    "kept_magnitude",
    "bytes",
    "int8_bytes",
    "sparse_layers",
    "layers",
    "seconds",
    "date",
    "tfprune",
    "commit",
    "keras",
    "backend",
    "machine",
    "command",
)
_NUMBERS = {
    **dict.fromkeys(("seed", "train_images", "test_images", "bytes", "int8_bytes", "sparse_layers", "layers"), int),
    **dict.fromkeys(("width", "accuracy", "int8_accuracy", "weights", "macs", "seconds"), float),
}
_MAY_BE_EMPTY = ("sparsity", "shrunk_macs", "kept_magnitude")

Row = dict[str, Any]


class ResultTable:
    """Rows by the key of their point.

    Args:
        path: a CSV file; one that is not there is empty.

    Raises:
        ClickException: a file that is no such table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Row] = {row["key"]: row for row in _read(path)}

    def add(self, row: Row) -> None:
        """Adds a row and writes the table: the whole of it or, where that fails, nothing.

        Raises:
            OutputError: it cannot be written, such as on a full disk; the file is as it was.
        """
        unknown = set(row) ^ set(COLUMNS)
        if unknown:
            raise ValueError(f"a row must have the columns of the table, got others or lacks {sorted(unknown)}")
        rows = {**self.rows, row["key"]: row}
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_file(self.path, text.getvalue().encode(), overwrite=True)
        self.rows = rows

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other runners from the table; the lock goes with the process that holds it.

        Raises:
            ClickException: another runner has it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        path = self.path.with_name(f".{self.path.name}.lock")
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise click.ClickException(
                    f"{self.path}: must have one runner, process {file.read().strip() or 'unknown'} is writing to it; "
                    "wait for it, or give this one another --output"
                ) from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            # Rows that another runner added since.
            self.rows = {row["key"]: row for row in _read(self.path)}
            yield


def _read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise click.ClickException(f"{path}: must be a table of results, its columns are {reader.fieldnames}")
        return [_typed(row, path, reader.line_num) for row in reader]


def _typed(row: dict[str, str], path: Path, line: int) -> Row:
    found: Row = dict(row)
    try:
        for name, kind in _NUMBERS.items():
            found[name] = kind(row[name])
        for name in _MAY_BE_EMPTY:
            found[name] = float(row[name]) if row[name] else None
    except (TypeError, ValueError) as error:
        raise click.ClickException(f"{path}, line {line}: must be a row of results, got {row}") from error
    return found
