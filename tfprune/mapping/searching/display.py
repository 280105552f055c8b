# SPDX-License-Identifier: Apache-2.0
"""What a terminal shows of a search while it runs: how far it is, the best mapping and the front. Nothing elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from tfprune.mapping.judging.progress_bar import progress_bar
from tfprune.mapping.searching.result import Trial

#: Rows of the front that are shown.
_MOST_ROWS = 10


class SearchDisplay:
    """A progress bar, the best mapping and the front, on stderr where that is a terminal.

    Args:
        title: what is searched for.
        trials: how many mappings are to be judged.
        metric: what the mappings are compared by.
        shown: whether anything is shown.
        console: where; None: stderr.
    """

    def __init__(
        self, title: str, trials: int, metric: str, shown: bool = True, console: Console | None = None
    ) -> None:
        """Shows nothing yet."""
        self._console = console or Console(stderr=True)
        self._shown = shown and self._console.is_terminal
        self._title = title
        self._headings = ("trial", metric, "latency", "of budget", "kB", "multiply-adds", "sparse layers")
        self._progress = progress_bar(self._console)
        self._bar = self._progress.add_task(title, total=trials)

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Shows it while the body runs."""
        if not self._shown:
            yield
            return
        with Live(self._progress, console=self._console, refresh_per_second=4) as live:
            self._live = live
            yield

    def update(self, judged: int, others: str, front: Sequence[Trial], best: Trial | None) -> None:
        """Shows where the search stands.

        Args:
            judged: mappings that were judged.
            others: what became of other proposals, in words.
            front: the front so far.
            best: the best mapping so far.
        """
        if not self._shown:
            return
        self._progress.update(self._bar, completed=judged, description=f"{self._title}{others}")
        parts: list[RenderableType] = [self._progress]
        if front:
            parts.append(self._table(front, best))
        self._live.update(Group(*parts))

    def _table(self, front: Sequence[Trial], best: Trial | None) -> Table:
        table = Table(*self._headings, box=box.SIMPLE_HEAD, pad_edge=False)
        # The best ones: those of the fast end are seldom what is looked for.
        for row in front[-_MOST_ROWS:]:
            table.add_row(*row.cells(), style="bold" if best is not None and row.number == best.number else None)
        return table
