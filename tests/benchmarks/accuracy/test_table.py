# SPDX-License-Identifier: Apache-2.0
"""The table of results stays whole, and has one writer."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import click
import pytest

from tfprune import files
from tfprune.errors import OutputError

Load = Callable[[str], ModuleType]


def row(table: ModuleType, key: str, **changed: Any) -> dict[str, Any]:
    """A row with a number in each column that wants one."""
    numbers = {name: kind(1) for name, kind in table._NUMBERS.items()}
    empty = dict.fromkeys(table._MAY_BE_EMPTY)
    return {**dict.fromkeys(table.COLUMNS, "text"), **numbers, **empty, "key": key, **changed}


def test_rows_come_back_as_they_were(load: Load, tmp_path: Path) -> None:
    module = load("accuracy.table")
    table = module.ResultTable(tmp_path / "new/results.csv")
    rows = [row(module, "a", sparsity=0.8, command='with "quotes", and a comma'), row(module, "b", kept_magnitude=0.5)]
    for each in rows:
        table.add(each)
    assert list(module.ResultTable(table.path).rows.values()) == rows


def test_a_full_disk_leaves_the_table_whole(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load("accuracy.table")
    table = module.ResultTable(tmp_path / "results.csv")
    table.add(row(module, "a"))
    before = table.path.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_write_through", full)
    with pytest.raises(OutputError, match="No space left"):
        table.add(row(module, "b"))
    assert table.path.read_bytes() == before
    assert list(table.rows) == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]


def test_a_last_row_that_is_cut_off_is_refused(load: Load, tmp_path: Path) -> None:
    module = load("accuracy.table")
    table = module.ResultTable(tmp_path / "results.csv")
    table.add(row(module, "a"))
    whole = table.path.read_bytes()
    for cut in (1, 3):
        table.path.write_bytes(whole[:-cut])
        with pytest.raises(click.ClickException, match="must end with a line break, its last row is cut off"):
            module.ResultTable(table.path)


def test_a_second_runner_is_refused_with_the_process_that_has_the_table(load: Load, tmp_path: Path) -> None:
    module = load("accuracy.table")
    path = tmp_path / "results.csv"
    with module.ResultTable(path).locked():
        second = module.ResultTable(path).locked()
        with pytest.raises(click.ClickException, match=f"process {os.getpid()} is writing") as error, second:
            pass
        assert "--output" in error.value.message
    with module.ResultTable(path).locked():
        pass


def _hold(path: str, ready: Any) -> None:
    import sys

    from tests.benchmarks.conftest import BENCHMARKS

    sys.path.insert(0, str(BENCHMARKS))
    from accuracy.table import ResultTable

    with ResultTable(Path(path)).locked():
        ready.set()
        signal.pause()


def test_the_lock_of_a_killed_runner_is_gone(load: Load, tmp_path: Path) -> None:
    module = load("accuracy.table")
    path = tmp_path / "results.csv"
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(str(path), ready))
    process.start()
    assert ready.wait(60)
    second = module.ResultTable(path).locked()
    with pytest.raises(click.ClickException, match=f"process {process.pid} is writing"), second:
        pass
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with module.ResultTable(path).locked():
        pass


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "", "\x00\x01"])
def test_other_files_are_refused(content: str, load: Load, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text(content)
    with pytest.raises(click.ClickException, match="must be a table of results"):
        load("accuracy.table").ResultTable(path)
    assert path.read_text() == content


def test_a_row_of_other_values_is_refused_with_its_line(load: Load, tmp_path: Path) -> None:
    module = load("accuracy.table")
    table = module.ResultTable(tmp_path / "results.csv")
    table.add(row(module, "a"))
    table.add(row(module, "b", accuracy=0.875))
    table.path.write_text(table.path.read_text().replace("0.875", "much"))
    with pytest.raises(click.ClickException, match="line 3: must be a row of results"):
        module.ResultTable(table.path)
    # Of one that is cut off only what is there is shown.
    table.path.write_text(table.path.read_text().partition("much")[0] + "much\n")
    with pytest.raises(click.ClickException, match=r"must be a row of results, got \['b', .*'much'\]; take it out"):
        module.ResultTable(table.path)
    table.path.write_text("")
    with pytest.raises(click.ClickException, match="is empty; remove it"):
        module.ResultTable(table.path)


@pytest.mark.parametrize("changed", [{"accuracy": "much"}, {"accuracy": 1.5}, {"seed": None}, {"sparsity": "much"}])
def test_a_row_that_could_not_be_read_again_is_not_added(changed: dict[str, Any], load: Load, tmp_path: Path) -> None:
    module = load("accuracy.table")
    table = module.ResultTable(tmp_path / "results.csv")
    with pytest.raises(ValueError, match="must have the values of results"):
        table.add(row(module, "a", **changed))
    assert not table.path.exists()


def test_a_disk_without_room_for_the_lock_is_said(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load("accuracy.table")
    monkeypatch.setattr(module.os, "getpid", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    locked = module.ResultTable(tmp_path / "results.csv").locked()
    with pytest.raises(click.ClickException, match=r"No space left.*make room"), locked:
        pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [*lines, lines[1]], "line 4: must be the only row of its key, a stands above"),
        (lambda lines: [*lines, lines[2] + ",more"], "line 4: must be a row of results"),
        (lambda lines: [*lines[:2], lines[2].rpartition(",")[0]], "line 3: must be a row of results"),
        (lambda lines: [lines[0], lines[1].replace("0.875", "1.875"), lines[2]], "line 2: must be a row of results"),
        (lambda lines: [lines[0], lines[1].replace("0.875", "nan"), lines[2]], "line 2: must be a row of results"),
        (lambda lines: [lines[0].replace("macs", "flops"), *lines[1:]], "it lacks macs, shrunk_macs; it has flops"),
        (lambda lines: [lines[0].replace("key,data", "data,key"), *lines[1:]], "they are in another order"),
        (lambda lines: [*lines, "\udcff"], "must be a table of results, and cannot be read"),
    ],
    ids=["twice", "longer", "cut", "above one", "nan", "other version", "other order", "no text"],
)
def test_changed_tables_are_refused_with_what_is_wrong(
    change: Callable[[list[str]], list[str]], message: str, load: Load, tmp_path: Path
) -> None:
    module = load("accuracy.table")
    table = module.ResultTable(tmp_path / "results.csv")
    for key in ("a", "b"):
        table.add(row(module, key, accuracy=0.875))
    lines = change(table.path.read_text().splitlines())
    table.path.write_text("\n".join(lines) + "\n", errors="surrogateescape")
    with pytest.raises(click.ClickException, match=re.escape(message)) as error:
        module.ResultTable(table.path)
    assert str(table.path) in error.value.message


def test_a_link_to_a_table_has_its_lock(load: Load, tmp_path: Path) -> None:
    module = load("accuracy.table")
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "results.csv")
    with module.ResultTable(tmp_path / "results.csv").locked():
        second = module.ResultTable(link).locked()
        with pytest.raises(click.ClickException, match="must have one runner"), second:
            pass


def test_a_folder_that_cannot_be_made_is_said(load: Load, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    locked = load("accuracy.table").ResultTable(tmp_path / "file/results.csv").locked()
    with pytest.raises(click.ClickException, match="give another --output"), locked:
        pass
