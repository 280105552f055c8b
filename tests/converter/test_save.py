# SPDX-License-Identifier: Apache-2.0
"""Writing results: atomic, and never over something by accident."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.converter.helpers import convert
from tests.models import conv_model, pruned
from tfprune.converter import converted as module
from tfprune.errors import OutputError

DATA = conv_model(pruned((64, 3, 3, 32)))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "dense.tflite"
    path.write_bytes(DATA)
    return path


def test_both_files_are_written(source: Path, tmp_path: Path) -> None:
    converted = convert(source)
    converted.save(tmp_path / "sparse.tflite")
    converted.save_dense(str(tmp_path / "again.tflite"))
    assert (tmp_path / "sparse.tflite").read_bytes() == converted.tflite != DATA
    assert (tmp_path / "again.tflite").read_bytes() == DATA
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.tflite", "dense.tflite", "sparse.tflite"]


def test_the_input_is_refused_as_output(source: Path) -> None:
    converted = convert(source)
    link = source.with_name("link.tflite")
    link.symlink_to(source)
    for path in (source, source.parent / "." / source.name, link):
        with pytest.raises(OutputError, match="output is the input"):
            converted.save(path)
    assert source.read_bytes() == DATA
    converted.save(link, overwrite=True)
    assert link.is_symlink()
    assert source.read_bytes() == converted.tflite


def test_an_existing_file_is_refused(source: Path, tmp_path: Path) -> None:
    converted = convert(source)
    other = tmp_path / "other.txt"
    other.write_text("mine")
    with pytest.raises(OutputError, match=r"exists already.*overwrite=True"):
        converted.save(other)
    assert other.read_text() == "mine"
    converted.save(other, overwrite=True)
    assert other.read_bytes() == converted.tflite


@pytest.mark.parametrize("name", ["missing/out.tflite", "dense.tflite/out.tflite", "x" * 300])
def test_paths_that_cannot_be_written(source: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError):
        convert(source).save(tmp_path / name)
    with pytest.raises(OutputError, match="folder"):
        convert(source).save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["dense.tflite"]


def test_a_write_that_fails_leaves_the_old_file(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converted = convert(source)
    target = tmp_path / "out.tflite"
    target.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        converted.save(target, overwrite=True)
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dense.tflite", "out.tflite"]


def test_the_users_mask_decides_who_may_read(source: Path, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        convert(source).save(tmp_path / "out.tflite")
    finally:
        os.umask(before)
    assert (tmp_path / "out.tflite").stat().st_mode & 0o777 == 0o640


def test_what_is_no_regular_file_is_refused_even_with_overwrite(source: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        for overwrite in (False, True):
            with pytest.raises(OutputError, match="must be a regular file"):
                convert(source).save(path, overwrite=overwrite)
    assert pipe.is_fifo()


@pytest.mark.parametrize("path", [None, 3, "nul\0byte"])
def test_what_is_no_path_is_refused(source: Path, path: Any) -> None:
    with pytest.raises(OutputError, match="output"):
        convert(source).save(path)


def test_a_trailing_separator_is_no_file_name(source: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="add a file name"):
        convert(source).save(f"{tmp_path}/newdir/")
    assert [path.name for path in tmp_path.iterdir()] == ["dense.tflite"]
