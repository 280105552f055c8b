# SPDX-License-Identifier: Apache-2.0
"""A progress bar on stderr, where that is a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextlib.contextmanager
def counting(title: str, total: int, shown: bool = True) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr, where that is a terminal; yields what moves it on by one."""
    console = Console(stderr=True)
    if not shown or not total or not console.is_terminal:
        yield lambda: None
        return
    with progress_bar(console, transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda: progress.advance(task)


def progress_bar(console: Console, *, transient: bool = False, shown: bool = True) -> Progress:
    """A bar with counts and times.

    Args:
        console: where it is shown.
        transient: whether it goes when it is through.
        shown: whether there is anything to see of it.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=transient,
        disable=not shown,
    )
