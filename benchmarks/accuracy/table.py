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
from typing import Any, TextIO

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
_SHARES = ("accuracy", "int8_accuracy", "weights", "macs", "shrunk_macs", "sparsity", "kept_magnitude")

Row = dict[str, Any]


class ResultTable:
    """Rows by the key of their point.

    Args:
        path: a CSV file; one that is not there is empty.

    Raises:
        ClickException: a file that is no such table.
    """

    def __init__(self, path: Path) -> None:
        # What a link leads to is what has one writer.
        self.path = path.resolve()
        self.rows: dict[str, Row] = _read(self.path)

    def add(self, row: Row) -> None:
        """Adds a row and writes the table: the whole of it or, where that fails, nothing.

        Raises:
            OutputError: it cannot be written, such as on a full disk; the file is as it was.
            ValueError: a row of other columns, or of values that could not be read again.
        """
        unknown = set(row) ^ set(COLUMNS)
        if unknown:
            raise ValueError(f"a row must have the columns of the table, got others or lacks {sorted(unknown)}")
        if _typed({name: "" if value is None else str(value) for name, value in row.items()}) is None:
            raise ValueError(f"a row must have the values of results, got {list(row.values())}")
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
        with self._lock_file() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise click.ClickException(
                    f"{self.path}: must have one runner, process {file.read().strip() or 'unknown'} is writing to it; "
                    "wait for it, or give this one another --output"
                ) from error
            with self._refusing():
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
            # Rows that another runner added since.
            self.rows = _read(self.path)
            yield

    def _lock_file(self) -> TextIO:
        with self._refusing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self.path.with_name(f".{self.path.name}.lock").open("a+")

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """Says what is wrong with the folder."""
        try:
            yield
        except OSError as error:
            raise click.ClickException(
                f"{self.path}: its folder must be one that can be written to: {error}; make room, or give another "
                "--output"
            ) from error


def _read(path: Path) -> dict[str, Row]:
    if not path.exists():
        return {}
    rows: dict[str, Row] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            text = file.read()
            if not text:
                raise click.ClickException(f"{path}: must be a table of results, is empty; remove it, or give --output")
            reader = csv.DictReader(io.StringIO(text, newline=""))
            _check_columns(tuple(reader.fieldnames or ()), path)
            # The last value is text, and would be taken for whole.
            if not text.endswith("\n"):
                raise click.ClickException(
                    f"{path}: must end with a line break, its last row is cut off; take that out, and the next run "
                    "adds it again"
                )
            for each in reader:
                row = _typed(each)
                if row is None:
                    raise click.ClickException(
                        f"{path}, line {reader.line_num}: must be a row of results, got {_there(each)}; take it "
                        "out, and the next run adds it again"
                    )
                if row["key"] in rows:
                    raise click.ClickException(
                        f"{path}, line {reader.line_num}: must be the only row of its key, {row['key']} stands above; "
                        "take one of them out"
                    )
                rows[row["key"]] = row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise click.ClickException(f"{path}: must be a table of results, and cannot be read: {error}") from error
    return rows


def _there(row: dict[str, str]) -> list[str]:
    """Of a row that was cut off the values that are there."""
    return [value for value in row.values() if value is not None]


def _check_columns(found: tuple[str, ...], path: Path) -> None:
    if found == COLUMNS:
        return
    lacks = [name for name in COLUMNS if name not in found]
    others = [name for name in found if name not in COLUMNS]
    what = "; ".join(f"{verb} {', '.join(names)}" for verb, names in (("it lacks", lacks), ("it has", others)) if names)
    raise click.ClickException(
        f"{path}: must be a table of results with the columns of this version, {what or 'they are in another order'}; "
        "give another --output, or the version that made it"
    )


def _typed(row: dict[str, str]) -> Row | None:
    """A row with its numbers, or None where that is none."""
    found: Row = dict(row)
    try:
        # Values that are missing are None, and those too many have no name.
        if None in row or None in row.values() or not row["key"]:
            return None
        for name, kind in _NUMBERS.items():
            found[name] = kind(row[name])
        for name in _MAY_BE_EMPTY:
            found[name] = float(row[name]) if row[name] else None
    except ValueError:
        return None
    return found if all(found[name] is None or 0 <= found[name] <= 1 for name in _SHARES) else None
