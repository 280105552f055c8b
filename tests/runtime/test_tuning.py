# SPDX-License-Identifier: Apache-2.0
"""The delegate's tuning: one load times and writes, the next reads; bad files are never fatal, foreign ones stay."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from tests.runtime.chain_files import ChainBuilder, image, invoke, sparse_file
from tests.runtime.tiny_models import conv_layer
from tfprune.errors import DelegateError
from tfprune.runtime.delegate import delegate
from tfprune.runtime.layers import delegate_layers, tuning_problem


def single() -> bytes:
    return conv_layer(size=20, out_channels=32, in_channels=32).sparse(open_batch=False)


def chain() -> bytes:
    b = ChainBuilder((24, 24, 8))
    return sparse_file(b.finish(b.sparse(b.depthwise(b.sparse(b.x)))))


def run(model: bytes, **options: str) -> tuple[bytes, list[str], str]:
    """Bytes of the outputs, the tuning of every layer and the problem."""
    used = delegate(**options)
    interpreter = Interpreter(model_content=model, num_threads=1, experimental_delegates=[used])
    outputs = invoke(interpreter, image(model))
    return (
        b"".join(np.ascontiguousarray(y).tobytes() for y in outputs),
        [layer.tuning for layer in delegate_layers(used)],
        tuning_problem(used),
    )


@pytest.mark.parametrize("model", [single(), chain()], ids=["single", "chain"])
def test_the_second_load_reads_what_the_first_wrote(model: bytes, tmp_path: Path) -> None:
    cache = tmp_path / "cache.txt"
    plain, nothing, _ = run(model)
    assert set(nothing) == {""}
    first, timed, problem = run(model, tune="1", tune_cache=str(cache))
    assert problem == ""
    assert all(text.endswith(", timed") for text in timed)
    content = cache.read_bytes()
    assert content.startswith(b"tfprune tuning 1\n")
    second, cached, problem = run(model, tune="1", tune_cache=str(cache))
    assert problem == ""
    assert cached == [text.replace(", timed", ", cached") for text in timed]
    assert first == second == plain
    assert cache.read_bytes() == content
    assert list(tmp_path.iterdir()) == [cache]


def test_another_shape_has_an_entry_of_its_own(tmp_path: Path) -> None:
    cache = tmp_path / "cache.txt"
    run(single(), tune="1", tune_cache=str(cache))
    run(conv_layer(size=9).sparse(open_batch=False), tune="1", tune_cache=str(cache))
    assert len(cache.read_text().splitlines()) == 4
    assert run(single(), tune="1", tune_cache=str(cache))[1][0].endswith("cached")


def test_every_choice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Writes caches by hand, with what tuning might have chosen on another day."""
    cache = tmp_path / "cache.txt"
    expected, _, _ = run(single())
    run(single(), tune="1", tune_cache=str(cache))
    key = cache.read_text().splitlines()[1].split(":")[0]
    seen = set()
    for tile in (4, 8, 16, 32, 64):
        text = "".join(["tfprune tuning 1\n", f"{key}: {tile} 20\n"])
        cache.write_text(f"{text}end {zlib.crc32(text.encode()):08x}\n")
        output, tuned, problem = run(single(), tune="1", tune_cache=str(cache))
        assert output == expected
        assert problem == ""
        seen.update(tuned)
    assert len([text for text in seen if text.endswith("cached")]) >= 2


@pytest.mark.parametrize("bad", [b"", b"tfprune tuning 1\nend 00000000\n", b"tfprune tuning 1\n" + b"x" * 300_000])
def test_a_damaged_file_is_reported_and_replaced(bad: bytes, tmp_path: Path) -> None:
    cache = tmp_path / "cache.txt"
    cache.write_bytes(bad)
    output, tuned, problem = run(single(), tune="1", tune_cache=str(cache))
    assert "cache.txt" in problem
    assert tuned[0].endswith("timed")
    again, tuned, problem = run(single(), tune="1", tune_cache=str(cache))
    assert problem == ""
    assert tuned[0].endswith("cached")
    assert output == again == run(single())[0]


@pytest.mark.parametrize("foreign", [b"\x00" * 100, b"x" * 300_000, single()], ids=["zeros", "large", "model"])
def test_a_foreign_file_is_reported_and_stays(foreign: bytes, tmp_path: Path) -> None:
    cache = tmp_path / "model.tflite"
    cache.write_bytes(foreign)
    output, tuned, problem = run(single(), tune="1", tune_cache=str(cache))
    assert "is not a tuning cache; give another path" in problem
    assert tuned[0].endswith("timed")
    assert cache.read_bytes() == foreign
    assert list(tmp_path.iterdir()) == [cache]
    assert output == run(single())[0]


def test_pipes_and_links_stay_what_they_are(tmp_path: Path) -> None:
    pipe, target, link = tmp_path / "pipe", tmp_path / "cache.txt", tmp_path / "link"
    os.mkfifo(pipe)
    assert "is no regular file" in run(single(), tune="1", tune_cache=str(pipe))[2]
    assert pipe.is_fifo()
    target.touch()
    link.symlink_to(target)
    run(single(), tune="1", tune_cache=str(link))
    assert link.is_symlink()
    assert target.read_bytes().startswith(b"tfprune tuning 1\n")


def test_a_missing_folder_is_reported_and_inference_goes_on(tmp_path: Path) -> None:
    output, tuned, problem = run(single(), tune="1", tune_cache=str(tmp_path / "none" / "cache.txt"))
    assert "cannot be written" in problem
    assert tuned[0].endswith("timed")
    assert output == run(single())[0]


def test_a_folder_as_cache_is_reported(tmp_path: Path) -> None:
    _, _, problem = run(single(), tune="1", tune_cache=str(tmp_path))
    assert "is no regular file" in problem


@pytest.mark.parametrize(
    "name", ["new\nline", "tab\tand\rreturn", "line\u2028separator\x85", "\u65e5" * 80, "x" + "\u65e5" * 80]
)
def test_a_path_of_odd_characters_breaks_no_answer(name: str, tmp_path: Path) -> None:
    cache = tmp_path / name / "cache.txt"
    cache.parent.mkdir()
    cache.write_bytes(b"mine")
    _, tuned, problem = run(single(), tune="1", tune_cache=str(cache))
    assert tuned[0].endswith("timed")
    assert problem.startswith("tuning: `")
    assert problem.endswith("is not a tuning cache; give another path")


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DelegateError, match="tune=1 needs tune_cache"):
        delegate(tune="1")
    with pytest.raises(DelegateError, match="tune_cache is for tune=1 only"):
        delegate(tune_cache=str(tmp_path / "cache.txt"))
    with pytest.raises(DelegateError, match="tune must be 0 or 1, got 'yes'"):
        delegate(tune="yes")
