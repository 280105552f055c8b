# SPDX-License-Identifier: Apache-2.0
"""Files that are no models, corrupt files and bad arguments: a clear error, never another one."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from hypothesis import given, settings
from hypothesis import strategies as st

import tfprune
from tests.converter.helpers import convert, names
from tests.converter.test_rewrite import chain
from tests.models import ModelBuilder, conv_model, pruned
from tfprune.errors import ConversionError, ModelError, TfpruneError


def small() -> bytes:
    """A model with every part of the schema and little weights, so that changes hit structure."""
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 2, 2, 4], batch=True)
    y = builder.conv_2d(x, pruned((4, 1, 1, 4)), np.ones(4, np.float32))
    builder.io([x], [builder.fully_connected(y, pruned((4, 16)), np.ones(4, np.float32))])
    builder.signature("serve", {"x": x}, {"y": y})
    builder.metadata("note", b"hello")
    return builder.build()


SMALL = small()
CHAIN = chain().build()
SPARSE = convert(CHAIN).tflite


def accepted_or_named(data: bytes) -> bool:
    """Converts; only a ModelError may come out, or AlreadyConverted and the like where names were hit."""
    try:
        convert(data, min_speedup=0.01)
    except ModelError:
        return False
    except ConversionError:
        return False
    return True


@pytest.mark.parametrize("data", [b"", b"TFL3", b"not a model", bytes(64), b"\0\0\0\0TFL3", b"\xff" * 8 + b"TFL3" * 9])
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"\.tflite"):
        convert(data)
    with pytest.raises(ModelError, match=r"\.tflite"):
        tfprune.inspect(data)


@pytest.mark.parametrize("data", [SMALL, SPARSE])
def test_no_truncation_gets_through_as_another_error(data: bytes) -> None:
    for size in np.unique(np.linspace(0, len(data) - 1, 400).astype(int)):
        accepted_or_named(data[:size])
    with pytest.raises(ModelError):
        convert(data[: len(data) // 2])


@settings(deadline=None, max_examples=400)
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(1, 255)), min_size=1, max_size=4))
def test_random_changes_of_a_small_file(changes: list[tuple[int, int]]) -> None:
    data = bytearray(SMALL)
    for place, flip in changes:
        data[place] ^= flip
    accepted_or_named(bytes(data))


def test_every_word_of_a_small_file_made_extreme() -> None:
    for place in range(0, len(SMALL) - 3, 4):
        for value in (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000):
            data = bytearray(SMALL)
            struct.pack_into("<I", data, place, value)
            accepted_or_named(bytes(data))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6_000), st.integers(1, 255)), min_size=1, max_size=3), st.booleans())
def test_random_changes_of_a_converted_file(changes: list[tuple[int, int]], from_end: bool) -> None:
    data = bytearray(SPARSE)
    for place, flip in changes:
        data[-1 - place if from_end else place] ^= flip
    for target in ("dense", "delegate"):
        try:
            convert(bytes(data), target=target)
        except TfpruneError:
            continue


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300))
def test_random_bytes_behind_the_file_identifier(tail: bytes) -> None:
    accepted_or_named(tail[:4].ljust(4, b"\0") + b"TFL3" + tail)


def test_indices_out_of_range_are_named() -> None:
    def model(change: Any) -> bytes:
        builder = ModelBuilder()
        x = builder.tensor("x", [1, 2, 2, 4])
        builder.io([x], [builder.conv_2d(x, pruned((4, 1, 1, 4)))])
        builder.signature("serve", {"x": x}, {"y": x})
        change(builder.model)
        return builder.build()

    def tensor_buffer(model: Any) -> None:
        model.subgraphs[0].tensors[1].buffer = 99

    def op_input(model: Any) -> None:
        model.subgraphs[0].operators[0].inputs = np.array([0, 99], np.int32)

    def op_code(model: Any) -> None:
        model.subgraphs[0].operators[0].opcodeIndex = 7

    def signature(model: Any) -> None:
        model.signatureDefs[0].outputs[0].tensorIndex = 99

    def signature_graph(model: Any) -> None:
        model.signatureDefs[0].subgraphIndex = 3

    def output(model: Any) -> None:
        model.subgraphs[0].outputs = np.array([-1], np.int32)

    for change in (tensor_buffer, op_input, op_code, signature, signature_graph, output):
        with pytest.raises(ModelError, match=r"refers to item"):
            convert(model(change))

    def no_graph(model: Any) -> None:
        model.subgraphs, model.signatureDefs = [], []

    with pytest.raises(ModelError, match="subgraph"):
        convert(model(no_graph))


def test_weights_outside_a_cut_off_file_are_named() -> None:
    with pytest.raises(ModelError, match="must lie inside"):
        convert(chain().build_with_outside_buffers()[:-1000])


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"precision": "int4"}, "precision: must be one of 'float32', 'float16', 'int8', 'dynamic', got 'int4'"),
        ({"target": "gpu"}, "target: must be one of 'delegate', 'stock', 'dense', got 'gpu'"),
        ({"min_speedup": 0}, "min_speedup"),
        ({"min_speedup": float("nan")}, "min_speedup"),
        ({"min_speedup": "2"}, "min_speedup"),
        ({"min_speedup": True}, "min_speedup"),
        ({"device": "phone"}, "device"),
        ({"device": 3}, "device"),
        ({"device": "missing.json"}, "cannot be read"),
    ],
)
def test_arguments_outside_their_range(options: dict[str, Any], name: str) -> None:
    with pytest.raises(ConversionError, match=name):
        convert(SMALL, **options)


def test_things_that_are_no_model(tmp_path: Path) -> None:
    for thing in (None, 3, [SMALL], np.zeros(3)):
        with pytest.raises(ModelError, match="model must be"):
            convert(thing)
    with pytest.raises(ModelError, match="cannot be read"):
        convert(tmp_path / "missing.tflite")
    with pytest.raises(ModelError, match="cannot be read"):
        convert("nul\0byte")
    with pytest.raises(ModelError, match=r"saved_model\.pb"):
        convert(tmp_path)
    (tmp_path / "text.tflite").write_text("hello world, no model")
    with pytest.raises(ModelError, match=r"text\.tflite.*TFL3"):
        convert(str(tmp_path / "text.tflite"))


def test_a_path_and_its_bytes_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(conv_model(pruned((64, 3, 3, 32))))
    for model in (path, str(path)):
        assert convert(model).tflite == convert(path.read_bytes()).tflite


def test_a_kernel_that_reaches_2_to_the_31_stays_dense() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 8, 8, 32])
    y = builder.conv_2d(x, pruned((64, 3, 3, 32)), dilation=(1, 2**30))
    builder.io([x], [y])
    report = convert(builder.build()).report
    assert "below 2^31" in str(report.layers[0].reason)


def test_numbers_of_numpy_are_numbers() -> None:
    assert convert(SMALL, min_speedup=np.float32(2)).report.min_speedup == 2
    runnable = conv_model(pruned((4, 1, 1, 4)), np.zeros(4, np.float32), (1, 2, 2))
    assert tfprune.verify(runnable, runnable, rtol=np.float32(0.5)).rtol == 0.5


@pytest.mark.parametrize("read", [convert, tfprune.inspect, tfprune.Interpreter], ids=["convert", "inspect", "run"])
def test_pipes_and_devices_are_refused_unread(read: Callable[[Path], Any], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.tflite"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(ModelError, match="no regular file"):
            read(path)


@pytest.mark.parametrize("outputs", [[], [-1]], ids=["none", "absent"])
def test_a_conversion_of_a_constant_without_result_stays(outputs: list[int]) -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 8, 8, 32])
    halves = builder.constant("halves", np.ones(4, np.float16))
    code, kind = builder.opcode(tfl.BuiltinOperator.DEQUANTIZE, version=3), tfl.BuiltinOptions.DequantizeOptions
    builder.operator(code, [halves], outputs, tfl.DequantizeOptionsT(), kind)
    builder.io([x], [builder.conv_2d(x, pruned((64, 3, 3, 32)), np.zeros(64, np.float32))])
    assert names(convert(builder.build()).tflite) == ["DEQUANTIZE", "TfpruneConv2D"]
