# SPDX-License-Identifier: Apache-2.0
"""What the fuzzer found stays mended, its checks notice what they should, and a bounded run finds nothing."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune
from tests.converter.expand.operators import Maker
from tests.converter.helpers import convert
from tests.converter.stock.graphs import random_network
from tests.converter.test_rewrite import chain
from tests.fuzz.check import (
    TARGETS,
    FuzzError,
    Options,
    Outcome,
    _alone,
    _compare,
    check,
    drawn_options,
    finite_constants,
    run,
)
from tests.fuzz.kept import keep
from tests.fuzz.kept import read as read_kept
from tests.models import conv_model, pruned
from tests.models.builder import model_file
from tests.models.compare import differences
from tests.models.recurrent import LstmFile
from tests.models.sparse_encoding import sparse_model
from tfprune.errors import ConversionError, ModelError
from tfprune.formats import HEADER_BYTES, read

ROOT = Path(__file__).resolve().parents[2]
RUN_SECONDS = 40


def changed(data: bytes, change: Callable[[Any], None]) -> bytes:
    model = tfl.ModelT.InitFromPackedBuf(data, 0)
    change(model)
    return model_file(model)


def small() -> bytes:
    return conv_model(pruned((32, 3, 3, 16)), np.ones(32, np.float32), (1, 3, 3))


@pytest.mark.parametrize("inputs", [0, 1])
def test_a_signature_that_does_not_name_an_input_is_refused(inputs: int) -> None:
    """The subgraph would run on whatever the memory holds."""

    def forget(model: Any) -> None:
        signature = model.signatureDefs[1]
        signature.inputs[0].name = None
        signature.inputs = signature.inputs[:inputs]

    with pytest.raises(ModelError, match="name every input"):
        tfprune.Interpreter(changed(chain().build(), forget))


def test_an_operator_that_reads_what_nothing_has_written_is_refused() -> None:
    """LiteRT would read from a null pointer."""
    for place in (0, 1):

        def loosen(model: Any, place: int = place) -> None:
            model.subgraphs[0].inputs = np.zeros(0, np.int32)
            if place:
                model.buffers[model.subgraphs[0].tensors[1].buffer].data = None
                model.subgraphs[0].inputs = np.zeros(1, np.int32)

        for read_it in (tfprune.Interpreter, tfprune.inspect):
            with pytest.raises(ModelError, match=f"reads tensor {place}"):
                read_it(changed(small(), loosen))


def test_operators_that_do_not_stand_in_the_order_in_which_they_run_are_refused() -> None:
    def turn_round(model: Any) -> None:
        model.subgraphs[0].operators.reverse()

    for target in TARGETS:
        with pytest.raises(ModelError, match="operator 0 of subgraph 0 reads tensor"):
            convert(changed(chain().build(), turn_round), target=target)


def test_files_of_another_schema_are_refused() -> None:
    def renumber(model: Any) -> None:
        model.version = 9

    with pytest.raises(ModelError, match="schema version 3, got 9"):
        convert(changed(small(), renumber))


def test_numbers_that_no_field_holds_are_refused_when_weights_are_restored() -> None:
    sparse = bytearray(convert(small(), min_speedup=1e-6).tflite)
    start = sparse.index(b"TFPK")
    header = read(np.frombuffer(bytes(sparse[start:]), np.uint8)[: _packed_bytes(bytes(sparse))]).header
    place = next(at for at in range(start + 8, start + HEADER_BYTES, 4) if sparse[at : at + 4] == b"\1\0\0\0")
    assert header.stride_h == 1
    refused = 0
    for at in range(place, start + HEADER_BYTES - 4, 4):
        # No field is this large, but some could be for all that the format says.
        content = bytearray(sparse)
        struct.pack_into("<I", content, at, 2**32 - 2)
        crc = zlib.crc32(content[start : start + HEADER_BYTES - 4])
        struct.pack_into("<I", content, start + HEADER_BYTES - 4, crc)
        try:
            tfprune.convert(bytes(content), target="dense")
        except (ModelError, ConversionError):
            refused += 1
    assert refused > 10


def _packed_bytes(data: bytes) -> int:
    model = tfl.ModelT.InitFromPackedBuf(data, 0)
    return next(len(b.data) for b in model.buffers if b.data is not None and bytes(b.data[:4]) == b"TFPK")


def test_a_buffer_with_bytes_and_an_offset_is_read_as_litert_reads_it() -> None:
    def both(model: Any) -> None:
        for buffer in model.buffers:
            buffer.offset, buffer.size = 100, 8

    data = changed(small(), both)
    sparse = convert(data, min_speedup=1e-6).tflite
    assert sparse != data
    np.testing.assert_array_equal(*(run(content)["/"] for content in (small(), data)))
    assert check(data) == Outcome.EQUAL


def test_buffer_0_is_no_buffer_whatever_it_holds() -> None:
    def fill(model: Any) -> None:
        weights = model.subgraphs[0].tensors[1]
        model.buffers[0].data, weights.buffer = model.buffers[weights.buffer].data, 0

    data = changed(small(), fill)
    for read_it in (tfprune.Interpreter, convert):
        with pytest.raises(ModelError, match="nothing has"):
            read_it(data)


def test_the_checks_notice_what_they_should(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(small()) == Outcome.EQUAL
    assert check(small()[:-40]) == Outcome.REFUSED
    assert _alone(os.abort) == "ended by signal SIGABRT"
    assert "ZeroDivisionError" in _alone(lambda: 1 / 0)
    expected = run(small())
    assert expected is not None
    for wrong in ({}, {"/": expected["/"] + 1}, {"/": expected["/"][:, :2]}, {"/": expected["/"] * np.nan}, None):
        with pytest.raises(FuzzError):
            _compare(expected, wrong, 1e-3, floats=True)
    whole = {"/": np.arange(9, dtype=np.int8)}
    assert _compare(whole, {"/": whole["/"] + np.int8(1)}, 1e-3, floats=True) == Outcome.EQUAL
    with pytest.raises(FuzzError, match="allowed 0"):
        _compare(whole, {"/": whole["/"] + np.int8(1)}, 1e-3, floats=False)
    monkeypatch.setattr("tests.fuzz.check.SECONDS", 1)
    assert _alone(lambda: [None for _ in iter(int, 1)]) == "ended by signal SIGALRM"
    sparse = convert(small(), min_speedup=1e-6).tflite
    assert differences(small(), sparse)


@pytest.mark.parametrize("target", ["stock", "dense"])
def test_every_target_is_checked(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stock files lose the empty filters of the first layer, dense ones TFLite's own sparse encoding."""
    data = sparse_model()
    if target == "stock":
        data = random_network(9, "int8")
    assert check(data, Options(target)) == Outcome.EQUAL
    monkeypatch.setattr("tests.fuzz.check._pair", lambda data, options: (data, small()))
    with pytest.raises(FuzzError):
        check(data, Options(target))


def test_inputs_are_kept_with_their_options(tmp_path: Path) -> None:
    assert {drawn_options(random.Random(seed).randint).target for seed in range(20)} == set(TARGETS)
    for options in (Options("stock", "float16"), Options()):
        path = keep(tmp_path, "running", b"file", options)
        assert read_kept(path) == (b"file", options)
        assert list(tmp_path.iterdir()) == [path]


def dense_alone(data: bytes) -> bytes:
    """The output of the model is its input: nothing reads what the operators compute."""

    def forget(model: Any) -> None:
        model.subgraphs[0].outputs = model.subgraphs[0].inputs
        for signature in model.signatureDefs or []:
            signature.outputs[0].tensorIndex = signature.inputs[0].tensorIndex

    return changed(data, forget)


@pytest.mark.parametrize("data", [small(), LstmFile().build()], ids=["convolution", "lstm"])
def test_outputs_that_nothing_reads_have_memory_all_the_same(data: bytes) -> None:
    assert check(dense_alone(data)) == Outcome.EQUAL


@pytest.mark.parametrize("precision", ["int8", "uint8"])
@pytest.mark.parametrize("scale", [None, 0.0, -1.0])
def test_a_bias_without_scales_is_rounded_by_other_kernels(precision: str, scale: float | None) -> None:
    """XNNPACK leaves such an operator to the builtin kernels."""
    dense = Maker(precision, kept=0.06).conv_2d((1, 4, 5, 48), 48, (3, 3), 1).data
    sparse = convert(dense, min_speedup=1e-6).tflite

    def unscale(model: Any) -> None:
        graph = model.subgraphs[0]
        found = graph.tensors[graph.operators[0].inputs[-1]].quantization
        found.scale = None if scale is None else found.scale * np.float32(scale)

    (layer,) = convert(changed(dense, unscale), min_speedup=1e-6).report.layers
    assert layer.reason_code == "rounding"
    with pytest.raises(ModelError, match="bias"):
        convert(changed(sparse, unscale), target="dense")


def judged(monkeypatch: pytest.MonkeyPatch, data: bytes, expected: Any, found: Any) -> Outcome:
    """What is said of a file where the runs of the two files end so."""
    answers = iter([expected, found])
    monkeypatch.setattr("tests.fuzz.check._alone", lambda task: next(answers))
    return check(data)


def test_files_of_which_stock_litert_makes_no_rows_may_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It divides what reaches a fully connected layer by its inputs, which gives no row of too few values."""
    refusal = ModelError("refused")
    assert judged(monkeypatch, small(), {"/": np.empty((0, 40), np.float32)}, refusal) == Outcome.REFUSED
    with pytest.raises(FuzzError, match="the other does not"):
        judged(monkeypatch, small(), {"/": np.zeros((1, 40), np.float32)}, refusal)


def test_weights_that_are_not_finite_are_run_and_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clipping a cell state swallows a NaN in one kernel and passes it on in another."""

    def spoil(model: Any) -> None:
        bias = next(b for b in model.buffers if b.data is not None and bytes(b.data) == np.ones(32, "f4").tobytes())
        bias.data = np.array([np.nan] + [1] * 31, np.float32).view(np.uint8)

    data = changed(small(), spoil)
    assert finite_constants(small())
    assert not finite_constants(data)
    assert check(data) == Outcome.NOT_COMPARED
    outputs = {"/": np.zeros((1, 3, 3, 32), np.float32)}
    for wrong in ("ended by signal SIGSEGV", ModelError("refused")):
        with pytest.raises(FuzzError):
            judged(monkeypatch, data, outputs, wrong)


@pytest.mark.slow
def test_a_bounded_run_finds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", str(RUN_SECONDS), "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=10 * RUN_SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]
    assert Outcome.EQUAL.value in done.stdout
