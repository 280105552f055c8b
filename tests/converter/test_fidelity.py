# SPDX-License-Identifier: Apache-2.0
"""Nothing of a file is lost: whatever is not converted is equal, whatever its form; what lost its users is dropped."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune
from tests.converter.helpers import convert, data_offsets, names, operators
from tests.converter.test_rewrite import chain
from tests.models import ModelBuilder, conv_model, pruned
from tests.models.builder import model_file
from tests.models.compare import differences
from tfprune.converter import schema
from tfprune.converter.graph import Graph
from tfprune.errors import ConversionError, ModelError
from tfprune.runtime.structure import check_structure

LABELS = "cat\ndog\n"


def everything(size: int = 10) -> ModelBuilder:
    """Parts of the schema that a small network does not use: all of them must survive."""
    builder = chain(size)
    model, graph = builder.model, builder.model.subgraphs[0]
    state = builder.tensor("state", [1, 4])
    graph.tensors[state].isVariable = True
    graph.tensors[builder.tensor("unused", [3])].quantization = quantization()
    graph.tensors[builder.constant("unused constant", np.arange(5, dtype=np.float32))].variantTensors = [variant()]
    elsewhere = builder.tensor("elsewhere", [7])
    graph.tensors[elsewhere].externalBuffer = 1
    builder.opcode(tfl.BuiltinOperator.ABS, version=2)
    body = builder.subgraph()
    count = builder.tensor("count", [1], "int32", graph=body)
    total = builder.tensor("total", [1], "int32", graph=body)
    one = builder.constant("one", np.ones(1, np.int32), body)
    builder.operator(builder.opcode(tfl.BuiltinOperator.ADD), [count, one], [total], tfl.AddOptionsT(), 11, body)
    builder.io([count], [total], body)
    builder.signature("step", {"count": count}, {"total": total}, body)
    op = graph.operators[1]
    op.inputs = np.append(op.inputs, [state, -1]).astype(np.int32)
    op.mutatingVariableInputs = np.array([False, True, False])
    op.intermediates = np.array([elsewhere], np.int32)
    op.debugMetadataIndex = 7
    builder.buffer(np.arange(9, dtype=np.uint8))
    model.metadataBuffer = np.array([builder.buffer(np.arange(11, dtype=np.uint8))], np.int32)
    group, external = tfl.ExternalBufferGroupT(), tfl.ExternalBufferT()
    group.name, external.id, external.group, external.length, external.packing = "weights.bin", 1, 0, 28, "unpacked"
    model.externalBufferGroups, model.externalBuffers = [group], [external]
    return builder


def quantization() -> Any:
    found = tfl.QuantizationParametersT()
    found.scale, found.zeroPoint = np.array([0.5, 0.25], np.float32), np.array([1, -2], np.int64)
    found.min, found.max = np.array([np.nan], np.float32), np.array([4], np.float32)
    found.quantizedDimension, found.detailsType = 0, tfl.QuantizationDetails.CustomQuantization
    found.details = tfl.CustomQuantizationT()
    found.details.custom = np.array([1, 2, 3], np.uint8)
    return found


def variant() -> Any:
    found = tfl.VariantSubTypeT()
    found.shape, found.type, found.hasRank = np.array([2, 2], np.int32), 9, True
    return found


def unexpected(old: bytes, new: bytes) -> list[str]:
    """Differences beyond those of the converted operators, their constants, our own metadata and operator."""
    ours = [f"subgraph {g}: op {i}: " for g, i, name in places(new) if name.startswith("Tfprune")]
    expected = ("code", "builtinOptions", "customOptions", "inputs")

    def concerned(difference: str) -> bool:
        if any(difference.startswith(where + what) for where in ours for what in expected):
            return True
        gone, new_one = "/kernel' is gone", ("/kernel/packed' is new", "/kernel/geometry' is new")
        return difference.startswith("metadata b'tfprune': [] !=") or difference.endswith((gone, *new_one))

    found = differences(old, new, added="tfprune/left_open")
    return [difference for difference in found if not concerned(difference)]


def places(data: bytes) -> list[tuple[int, int, str]]:
    graph = Graph(data)
    return [(subgraph, index, graph.op_name(op)) for subgraph, index, op in graph.operators()]


FORMS: dict[str, Callable[[ModelBuilder], bytes]] = {
    "inside": ModelBuilder.build,
    "outside": ModelBuilder.build_with_outside_buffers,
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_converted_is_equal(form: str) -> None:
    data = FORMS[form](everything())
    sparse = convert(data).tflite
    assert [name for _, _, name in places(sparse)] == [
        *("TfpruneConv2D", "Mystery", "TfpruneConv2D", "TfpruneFullyConnected"),
        "ADD",
    ]
    assert unexpected(data, sparse) == []
    assert differences(data, data) == []
    dense = convert(sparse, target="dense").tflite
    assert len(dense) < 1.05 * len(data)
    # The sign of zeros is not stored.
    assert [place for place in differences(data, dense) if ": inputs 1: data: " not in place] == []


def test_the_comparison_notices_every_kind_of_change() -> None:
    data = everything().build()
    for change in (
        lambda m: setattr(m.subgraphs[0].tensors[0], "name", "other"),
        lambda m: setattr(m.buffers[1], "data", m.buffers[1].data[::-1].copy()),
        lambda m: setattr(m.subgraphs[0].operators[1], "customOptions", np.zeros(3, np.uint8)),
        lambda m: setattr(m.subgraphs[0].operators[0].builtinOptions, "strideH", 2),
        lambda m: setattr(m.signatureDefs[0].outputs[0], "tensorIndex", 1),
        lambda m: m.metadata.pop(),
        lambda m: setattr(m.subgraphs[0].tensors[-3], "shape", np.array([4], np.int32)),
        lambda m: setattr(m.externalBuffers[0], "length", 27),
        lambda m: setattr(m.operatorCodes[0], "version", 3),
        lambda m: setattr(m.subgraphs[1].operators[0], "inputs", np.array([1, 1], np.int32)),
    ):
        model = tfl.ModelT.InitFromPackedBuf(data)
        change(model)
        assert differences(data, model_file(model)), "not noticed"


def test_zeros_behind_a_model_are_not_written_again() -> None:
    data = conv_model(pruned((64, 3, 3, 32)))
    padded = convert(data + bytes(1 << 20))
    assert "1048576 zero bytes behind the model" in str(padded.report)
    assert len(padded.tflite) == len(convert(data).tflite)
    assert "zero bytes" not in str(convert(data + bytes(64)).report)


def test_a_file_with_nothing_to_convert_is_the_same_bytes() -> None:
    builder = everything()
    for buffer in builder.model.buffers[1:]:
        buffer.data = np.where(buffer.data == 0, 1, buffer.data).astype(np.uint8)
    for data in (builder.build(), builder.build() + bytes(5)):
        converted = convert(data)
        assert converted.tflite == converted.dense == data


def test_data_stay_behind_the_flatbuffer() -> None:
    data = everything().build_with_outside_buffers()
    sparse = convert(data).tflite
    buffers = tfl.ModelT.InitFromPackedBuf(sparse).buffers
    graph = Graph(sparse)
    metadata = {int(entry.buffer) for entry in graph.model.metadata if entry.name == b"tfprune"}
    for index, buffer in enumerate(buffers):
        if index in metadata or not index:
            assert buffer.offset == 0
        else:
            assert buffer.data is None
            assert buffer.offset % 16 == 0
    for _, subgraph, op in operators(sparse):
        if graph.is_custom(op) and graph.op_name(op) != "Mystery":
            assert buffers[graph.input_tensor(subgraph, op, 1).buffer].offset % 64 == 0


def test_large_custom_options_stay_behind_the_flatbuffer() -> None:
    builder = chain()
    op, options = builder.model.subgraphs[0].operators[1], bytes(range(200))
    op.customOptions, op.largeCustomOptionsOffset, op.largeCustomOptionsSize = None, 2, len(options)
    op.largeCustomOptionsOffset = len(builder.build())
    data = builder.build() + options
    sparse = convert(data).tflite
    assert unexpected(data, sparse) == []
    found = tfl.ModelT.InitFromPackedBuf(sparse).subgraphs[0].operators[1]
    assert found.customOptions is None
    assert sparse[found.largeCustomOptionsOffset :][: found.largeCustomOptionsSize] == options
    with pytest.raises(ModelError, match="must lie inside"):
        convert(data[:-1])


def test_a_result_that_is_too_large_for_a_flatbuffer_gets_its_data_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = conv_model(pruned((64, 3, 3, 32)), np.ones(64, np.float32))
    inside = convert(data).tflite
    monkeypatch.setattr(schema, "_MOST_INSIDE", 1000)
    outside = convert(data).tflite
    assert tfl.ModelT.InitFromPackedBuf(outside).buffers[-1].offset == 0, "readers look for metadata inside"
    assert any(buffer.offset for buffer in tfl.ModelT.InitFromPackedBuf(outside).buffers)
    assert differences(inside, outside) == []
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 32)).astype(np.float32)
    results = [tfprune.Interpreter(content).predict(x) for content in (inside, outside)]
    np.testing.assert_array_equal(*results)


def test_equal_data_are_stored_once_and_shared_buffers_stay_shared() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 8, 8, 64])
    same = pruned((64, 1, 1, 64))
    bias = np.arange(64, dtype=np.float32)
    for number in range(3):
        x = builder.conv_2d(x, same, bias, name=f"conv{number}")
    builder.io([0], [x])
    data = builder.build()
    sparse = convert(data).tflite
    graph = Graph(sparse)
    offsets = data_offsets(sparse)
    for place in (1, 2, 3):
        buffers = [graph.input_tensor(0, op, place).buffer for _, _, op in graph.operators()]
        assert len({offsets[buffer] for buffer in buffers}) == 1
    assert names(sparse) == ["TfpruneConv2D"] * 3
    assert convert(data + bytes(16)).tflite == sparse


def test_what_lost_its_users_is_dropped_and_numbers_follow() -> None:
    builder = everything()
    data = builder.build()
    graph = Graph(data)
    tensors = graph.model.subgraphs[0].tensors
    before = [tensor.name for tensor in tensors]
    op = graph.model.subgraphs[0].operators[2]
    gone = int(op.inputs[1])
    graph.set_inputs(0, op, [int(op.inputs[0]), int(graph.model.subgraphs[0].operators[0].inputs[1])])
    model = tfl.ModelT.InitFromPackedBuf(graph.to_bytes())
    after = [tensor.name for tensor in model.subgraphs[0].tensors]
    assert after == [name for name in before if name not in (b"second/kernel", b"second/bias")]
    assert gone < len(after) - 1, "tensors behind it must have got new numbers"
    assert len(model.buffers) == len(builder.model.buffers) - 2
    assert not [d for d in differences(data, graph.to_bytes()) if "op 2" not in d and "second/" not in d]


def test_labels_behind_the_model_move_with_it() -> None:
    archive = io.BytesIO()
    data = chain().build()
    archive.write(data)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("labels.txt", LABELS)
        file.writestr("vocabulary.txt", "a\nb\n" * 100, zipfile.ZIP_DEFLATED)
    sparse = convert(archive.getvalue()).tflite
    assert len(sparse) < len(data)
    with zipfile.ZipFile(io.BytesIO(sparse)) as file:
        assert file.testzip() is None
        assert file.read("labels.txt").decode() == LABELS
        # Offsets count from the start of the file, as other readers insist.
        start = file.getinfo("labels.txt").header_offset
        assert sparse[start : start + 4] == b"PK\3\4"
        assert struct.unpack_from("<I", sparse, len(sparse) - 6)[0] == file.start_dir
    assert unexpected(data, sparse) == []


def test_an_empty_archive_behind_the_model_moves_with_it() -> None:
    data = chain().build()
    archive = io.BytesIO(data)
    with zipfile.ZipFile(archive, "a"):
        pass
    assert len(archive.getvalue()) > len(data)
    sparse = convert(archive.getvalue()).tflite
    assert len(sparse) < len(data)
    with zipfile.ZipFile(io.BytesIO(sparse)) as file:
        assert file.namelist() == []


@pytest.mark.parametrize("behind", [b"compiled for some chip", b"PK\3\4 no archive", b"\0\0PK\5\6"])
def test_a_model_before_something_unknown_is_kept_as_it_is(behind: bytes) -> None:
    data = chain().build() + behind
    converted = convert(data)
    assert converted.tflite == data
    assert {layer.reason_code for layer in converted.report.layers} == {"would_lose"}


def test_a_file_of_a_newer_schema_is_kept_as_it_is() -> None:
    data = bytearray(chain().build())
    code = schema.tfl.Model.GetRootAs(data, 0).OperatorCodes(0)
    # The last slot of an operator code, written as if it were one more than the schema knows.
    table = code._tab.Pos
    vtable = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, vtable)[0]
    data += data[vtable : vtable + size] + struct.pack("<H", 4)
    struct.pack_into("<i", data, table, table - (len(data) - size - 2))
    struct.pack_into("<H", data, len(data) - size - 2, size + 2)
    assert check_structure(bytes(data), "model").newer == "field 4 of OperatorCode"
    converted = convert(bytes(data))
    assert converted.tflite == data
    assert "ai-edge-litert" in str(converted.report.layers[0].reason)
    sparse = bytearray(convert(chain().build()).tflite) + b"something"
    with pytest.raises(ConversionError, match="kept as it is"):
        convert(bytes(sparse), target="dense")
