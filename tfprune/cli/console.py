# SPDX-License-Identifier: Apache-2.0
"""What the commands print: tables or one JSON document on stdout, progress on stderr, no foreign log lines."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from tfprune.errors import TfpruneError

# Pipes and files have no width; a table there must not be cut at 80 columns.
_PIPE_WIDTH = 200


def print_json(document: Any) -> None:
    """Prints one JSON document; numbers that JSON does not know become null."""
    click.echo(json.dumps(_plain(document), indent=2, allow_nan=False))


def print_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", *, text_columns: Sequence[int] = (0,)
) -> None:
    """Prints a table and a caption below it.

    Args:
        headers: one a column.
        rows: the cells.
        caption: what stands below the table.
        text_columns: columns that stand left; the first of them is cut short where the terminal is narrow.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for place, header in enumerate(headers):
        table.add_column(
            header,
            justify="left" if place in text_columns else "right",
            no_wrap=place != text_columns[0],
            overflow="ellipsis",
        )
    for row in rows:
        table.add_row(*row)
    console = stdout_console()
    console.print(table)
    if caption:
        console.print(caption)


def print_reasons(reasons: Iterable[tuple[str, str | None]]) -> None:
    """Prints sentences, which fit no column, each once with everything that it is about.

    Args:
        reasons: pairs of a name and its sentence; where there is none, nothing is printed.
    """
    names: dict[str, list[str]] = defaultdict(list)
    for name, text in reasons:
        if text:
            names[text].append(name)
    for text, about in names.items():
        click.echo(f"# {', '.join(about)}: {text}")


def stdout_console() -> Console:
    """A console on today's stdout: tests and pipes replace it."""
    console = Console(markup=False, highlight=False)
    return console if console.is_terminal else Console(markup=False, highlight=False, width=_PIPE_WIDTH)


@contextlib.contextmanager
def working(title: str) -> Iterator[Callable[[str], None]]:
    """Shows a spinner on stderr while the body works, and keeps the chatter of the libraries below off the terminal.

    Yields a function that changes the spinner's title.

    TensorFlow and LiteRT write to the file descriptors themselves, so those are turned to a file. An unexpected error
    prints that file's content first: it may hold the cause.
    """
    with _chatter_to_file() as (log, terminal), contextlib.ExitStack() as stack:
        console = Console(file=terminal, stderr=True)
        say: Callable[[str], None] = lambda _: None  # noqa: E731
        if console.is_terminal:
            say = stack.enter_context(console.status(title)).update
        # After the spinner, which sends Python's streams to the terminal.
        text = stack.enter_context(os.fdopen(os.dup(log.fileno()), "w"))
        stack.enter_context(contextlib.redirect_stdout(text))
        stack.enter_context(contextlib.redirect_stderr(text))
        yield say


@contextlib.contextmanager
def showing() -> Iterator[None]:
    """As `working`, for a body that shows on stderr by itself how far it is.

    What Python writes to stderr is shown only where that is a terminal.
    """
    with _chatter_to_file() as (log, terminal), contextlib.ExitStack() as stack:
        text = stack.enter_context(os.fdopen(os.dup(log.fileno()), "w"))
        stack.enter_context(contextlib.redirect_stdout(text))
        stack.enter_context(contextlib.redirect_stderr(terminal if terminal.isatty() else text))
        yield


@contextlib.contextmanager
def _chatter_to_file() -> Iterator[tuple[IO[bytes], IO[str]]]:
    """Turns the descriptors to a file, which an unexpected error prints; yields it and a stream to the terminal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with tempfile.TemporaryFile() as log, _captured_descriptors(log) as terminal:
        try:
            yield log, terminal
        except TfpruneError:
            raise
        except Exception:
            log.seek(0)
            terminal.write(log.read().decode(errors="replace"))
            terminal.flush()
            raise


@contextlib.contextmanager
def _captured_descriptors(log: IO[bytes]) -> Iterator[IO[str]]:
    """Turns the descriptors of stdout and stderr to ``log``; yields a stream to where stderr went before."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    terminal = os.fdopen(os.dup(saved[2]), "w")
    try:
        for descriptor in saved:
            os.dup2(log.fileno(), descriptor)
        yield terminal
    finally:
        for descriptor, copy in saved.items():
            os.dup2(copy, descriptor)
            os.close(copy)
        terminal.close()


def _plain(value: Any) -> Any:
    """Plain JSON types: tuples become lists, NaN and infinities None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return None
    return value
