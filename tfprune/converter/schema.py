# SPDX-License-Identifier: Apache-2.0
"""The only module that touches the TFLite schema: bytes to an object tree and back."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.structure import check_structure
from tfprune.errors import ConversionError, ModelError

# Loaded by name: the generated module has no type information.
tfl: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
_flatbuffers: Any = importlib.import_module("flatbuffers")
_flexbuffers: Any = importlib.import_module("flatbuffers.flexbuffers")

BuiltinOperator: Any = tfl.BuiltinOperator
TensorType: Any = tfl.TensorType

#: Constants of tfprune's ops start at multiples of this; LiteRT's compiled models refuse less.
OP_ALIGNMENT = 64
#: What the schema asks of every other buffer.
BUFFER_ALIGNMENT = 16
# A FlatBuffer's offsets are signed 32-bit numbers; some room for everything that is not weights.
_MAX_FILE_BYTES = 2**31 - 2**20
_BUILTIN_NAMES = {number: name for name, number in vars(BuiltinOperator).items() if isinstance(number, int)}


class AlignedBuffer(tfl.BufferT):  # type: ignore[misc]
    """A buffer whose data start at a multiple of ``alignment`` in the file; the generated one aligns to 1."""

    def __init__(self, data: npt.NDArray[np.uint8] | None = None, alignment: int = BUFFER_ALIGNMENT) -> None:
        """Holds ``data`` (uint8, or None for no data) to be written at a multiple of ``alignment`` bytes."""
        super().__init__(data=data)
        self.alignment = alignment

    def Pack(self, builder: Any) -> Any:  # noqa: N802 (the generated class calls it so)
        """Writes data and table; called by the generated ``ModelT.Pack``."""
        data = None
        if self.data is not None:
            size = len(self.data)
            builder.StartVector(1, size, self.alignment)
            builder.head = builder.head - size
            builder.Bytes[builder.head : builder.head + size] = memoryview(self.data)
            data = builder.EndVector()
        tfl.BufferStart(builder)
        if data is not None:
            tfl.BufferAddData(builder, data)
        return tfl.BufferEnd(builder)


def read_model(data: bytes, subject: str = "model") -> Any:
    """Unpacks a ``.tflite`` file into a ``ModelT``; buffers outside the FlatBuffer are filled in.

    Args:
        data: the whole file; never changed.
        subject: what the file is, for messages.

    Raises:
        ModelError: not a TFLite file, cut off or corrupt.
    """
    check_structure(data, subject)
    try:
        model = tfl.ModelT.InitFromPackedBuf(data, 0)
    # The generated reader raises whatever the corrupt bytes lead to (struct.error, ValueError, MemoryError, ...).
    except Exception as error:
        raise ModelError(f"{subject}: not a readable .tflite file: {type(error).__name__}: {error}") from error
    model.buffers = [_inline(buffer, data, subject) for buffer in model.buffers or []]
    for graph in model.subgraphs or []:
        for op in graph.operators or []:
            if op.largeCustomOptionsOffset > 1:
                where = (op.largeCustomOptionsOffset, op.largeCustomOptionsSize)
                op.customOptions = _outside(data, *where, subject)
                op.largeCustomOptionsOffset = op.largeCustomOptionsSize = 0
    return model


def write_model(model: Any) -> bytes:
    """Packs a ``ModelT`` whose buffers are :class:`AlignedBuffer`; the same model gives the same bytes.

    Raises:
        ConversionError: the file would reach 2 GiB.
    """
    # Alignment and tables take some room beside the data: 256 bytes a buffer and 64 kB are ample.
    size = sum(256 + (0 if buffer.data is None else len(buffer.data)) for buffer in model.buffers)
    if size > _MAX_FILE_BYTES:
        raise ConversionError(
            f"the converted model must stay below 2 GiB, got about {size / 2**30:.2f} GiB of weights; "
            "convert parts of the model, or one with more zeros"
        )
    builder = _flatbuffers.Builder(size + 65_536)
    try:
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    except _flatbuffers.builder.BuilderSizeError as error:
        raise ConversionError("the converted model must stay below 2 GiB; convert parts of the model") from error
    return bytes(builder.Output())


def _inline(buffer: Any, data: bytes, subject: str) -> AlignedBuffer:
    if buffer.offset > 1:
        return AlignedBuffer(_outside(data, buffer.offset, buffer.size, subject))
    return AlignedBuffer(buffer.data)


def _outside(data: bytes, offset: int, size: int, subject: str) -> npt.NDArray[np.uint8]:
    """Data that stand behind the FlatBuffer, by their offset from the start of the file."""
    if offset + size > len(data):
        raise ModelError(
            f"{subject}: weights must lie inside the file's {len(data)} bytes, got {size} bytes at offset {offset}; "
            "it is cut off or corrupt"
        )
    return np.frombuffer(data, np.uint8, size, offset)


def flexbuffer_map(values: dict[str, int | str]) -> npt.NDArray[np.uint8]:
    """A flexbuffer map with ``values``, as custom options hold it."""
    builder = _flexbuffers.Builder()
    with builder.Map():
        for key in sorted(values):
            builder.Key(key)
            builder.Add(values[key])
    return np.frombuffer(bytes(builder.Finish()), np.uint8)


def read_flexbuffer_map(data: npt.NDArray[np.uint8] | None) -> dict[str, Any]:
    """The map of custom options; empty where they hold none."""
    if data is None or not len(data):
        return {}
    try:
        found = _flexbuffers.Loads(bytearray(data))
    # The generated reader raises whatever corrupt bytes lead to.
    except Exception:
        return {}
    return found if isinstance(found, dict) else {}


def text(value: Any) -> str:
    """A name of the file as text; names are bytes in the schema and need not be UTF-8."""
    if value is None:
        return ""
    return str(value) if isinstance(value, str) else bytes(value).decode("utf-8", errors="replace")


def builtin_code(code: Any) -> int:
    """The operator of an opcode entry: new and old field, of which readers take the larger."""
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def builtin_name(number: int) -> str:
    """``"CONV_2D"`` for 3, and so on; unknown numbers are named by their number."""
    return str(_BUILTIN_NAMES.get(number, f"BUILTIN_{number}"))
