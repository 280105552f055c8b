# SPDX-License-Identifier: Apache-2.0
"""What a terminal shows of a search."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.mapping.searching.toy import Latency, run, space_for
from tfprune.mapping.budget import Budget
from tfprune.mapping.judging.progress_bar import counting
from tfprune.mapping.searching.display import SearchDisplay
from tfprune.mapping.searching.rows import front, rows_of


def test_a_terminal_shows_how_far_it_is_and_the_front_with_the_best_one() -> None:
    rows = rows_of(run(None, "policy", 12).get_trials(), space_for(Latency(), Budget("latency_ratio", 0.5)), {})
    found = front(rows, 1)
    stream = io.StringIO()
    display = SearchDisplay("net, policy", 20, "accuracy", console=Console(file=stream, force_terminal=True, width=120))
    with display.live():
        display.update(12, ", 3 over budget", found, found[-1])
    text = stream.getvalue()
    assert "net, policy, 3 over budget" in text
    assert "12/20" in text
    for row in found:
        assert f"{row.accuracy:.4f}" in text


@pytest.mark.parametrize("shown", [True, False])
def test_nothing_is_shown_elsewhere(shown: bool, capfd: pytest.CaptureFixture[str]) -> None:
    display = SearchDisplay("net", 20, "accuracy", shown)
    with display.live(), counting("layers", 3, shown) as advance:
        display.update(1, "", (), None)
        advance()
    assert capfd.readouterr() == ("", "")
