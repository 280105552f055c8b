# SPDX-License-Identifier: Apache-2.0
"""LiteRT's CompiledModel over its C API, as a C++ program uses it, with tfprune's ops in its options."""

from __future__ import annotations

import ctypes
from ctypes import Structure, byref, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_void_p
from pathlib import Path
from types import TracebackType
from typing import Any

import ai_edge_litert
import numpy as np
import numpy.typing as npt

from tfprune.runtime.library import library_path

_MOST_RANK = 8
_CPU = 1
_READ, _WRITE = 0, 1
_TYPES = {1: np.float32, 2: np.int32, 3: np.uint8, 4: np.int64, 7: np.int16, 9: np.int8}

Array = npt.NDArray[Any]


class Layout(Structure):
    """LiteRtLayout; the rank is in the lower seven bits of the first word."""

    _fields_ = (("bits", c_uint32), ("dims", c_int32 * _MOST_RANK), ("strides", c_uint32 * _MOST_RANK))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.dims[: self.bits & 0x7F])


class TensorType(Structure):
    """LiteRtRankedTensorType."""

    _fields_ = (("element_type", c_int32), ("layout", Layout))


class LiteRtError(Exception):
    """A function of LiteRT that did not return kLiteRtStatusOk."""


def _load() -> ctypes.CDLL:
    return ctypes.CDLL(str(Path(ai_edge_litert.__file__).parent / "libLiteRt.so"))


class Tfprune:
    """The functions of libtfprune.so for a CompiledModel."""

    def __init__(self, path: Path | None = None) -> None:
        self._library = ctypes.CDLL(str(path or library_path()))
        self._library.tfprune_add_custom_ops.argtypes = [c_void_p]
        self._library.tfprune_last_error.argtypes = [c_void_p, c_size_t]
        self._library.tfprune_last_error.restype = c_size_t
        self._library.tfprune_last_kernel.restype = c_char_p

    def add_custom_ops(self, options: Any) -> int:
        return int(self._library.tfprune_add_custom_ops(options))

    def set_threads(self, count: int) -> int:
        return int(self._library.tfprune_set_custom_op_threads(c_int(count)))

    @property
    def last_kernel(self) -> str:
        return str(self._library.tfprune_last_kernel().decode())

    @property
    def last_error(self) -> str:
        size = self._library.tfprune_last_error(None, 0)
        text = ctypes.create_string_buffer(size + 1)
        assert self._library.tfprune_last_error(text, size + 1) == size
        return text.value.decode()

    def clear_error(self) -> None:
        self._library.tfprune_clear_error()


class CompiledModel:
    """One compiled model; inputs and outputs in the order of the first signature.

    Args:
        content: the `.tflite` file; it lies in memory at a multiple of 64.
        tfprune: the ops to add; None: none.
    """

    def __init__(self, content: bytes, tfprune: Tfprune | None) -> None:
        self._lib = _load()
        self._room = np.zeros(len(content) + 64, np.uint8)
        start = -self._room.ctypes.data % 64
        self._content = self._room[start : start + len(content)]
        self._content[:] = np.frombuffer(content, np.uint8)
        self._environment, self._model, self._options, self._compiled = (c_void_p() for _ in range(4))
        self._call("CreateEnvironment", 0, None, byref(self._environment))
        data = c_void_p(self._content.ctypes.data)
        self._call("CreateModelFromBuffer", self._environment, data, c_size_t(len(content)), byref(self._model))
        self._call("CreateOptions", byref(self._options))
        self._call("SetOptionsHardwareAccelerators", self._options, _CPU)
        if tfprune is not None:
            status = tfprune.add_custom_ops(self._options)
            if status:
                raise LiteRtError(tfprune.last_error)
        self._call("CreateCompiledModel", self._environment, self._model, self._options, byref(self._compiled))
        self._signature = c_void_p()
        self._call("GetModelSignature", self._model, c_size_t(0), byref(self._signature))

    def __enter__(self) -> CompiledModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for name, handle in (
            ("CompiledModel", self._compiled),
            ("Options", self._options),
            ("Model", self._model),
            ("Environment", self._environment),
        ):
            getattr(self._lib, f"LiteRtDestroy{name}")(handle)

    def resize(self, index: int, shape: tuple[int, ...]) -> None:
        """Gives an input another shape."""
        dims = (c_int * len(shape))(*shape)
        self._call(
            "CompiledModelResizeInputTensor", self._compiled, c_size_t(0), c_size_t(index), dims, c_size_t(len(shape))
        )

    def run(self, *inputs: Array) -> list[Array]:
        """The outputs."""
        given = [self._buffer("Input", place, value) for place, value in enumerate(inputs)]
        count = c_size_t()
        self._call("GetNumSignatureOutputs", self._signature, byref(count))
        layouts = (Layout * count.value)()
        self._call(
            "GetCompiledModelOutputTensorLayouts", self._compiled, c_size_t(0), count, layouts, ctypes.c_bool(True)
        )
        made = []
        for place, layout in enumerate(layouts):
            made.append(self._buffer("Output", place, None, layout))
        try:
            self._call(
                "RunCompiledModel",
                self._compiled,
                c_size_t(0),
                c_size_t(len(given)),
                (c_void_p * len(given))(*given),
                count,
                (c_void_p * len(made))(*made),
            )
            return [self._read(buffer) for buffer in made]
        finally:
            for buffer in (*given, *made):
                self._lib.LiteRtDestroyTensorBuffer(buffer)

    def _buffer(self, what: str, index: int, value: Array | None, layout: Layout | None = None) -> c_void_p:
        """A managed buffer for an input or output, with the values of an input."""
        requirements, buffer, tensor = c_void_p(), c_void_p(), c_void_p()
        get = f"GetCompiledModel{what}BufferRequirements"
        self._call(get, self._compiled, c_size_t(0), c_size_t(index), byref(requirements))
        self._call(f"GetSignature{what}TensorByIndex", self._signature, c_size_t(index), byref(tensor))
        kind = TensorType()
        self._call("GetRankedTensorType", tensor, byref(kind))
        shape = layout.shape if value is None and layout is not None else np.shape(value)
        kind.layout = Layout(len(shape))
        kind.layout.dims[: len(shape)] = shape
        self._call(
            "CreateManagedTensorBufferFromRequirements", self._environment, byref(kind), requirements, byref(buffer)
        )
        if value is not None:
            values = np.ascontiguousarray(value, _TYPES[kind.element_type])
            host = c_void_p()
            self._call("LockTensorBuffer", buffer, byref(host), _WRITE)
            ctypes.memmove(host, values.ctypes.data, values.nbytes)
            self._call("UnlockTensorBuffer", buffer)
        return buffer

    def _read(self, buffer: c_void_p) -> Array:
        kind, host = TensorType(), c_void_p()
        self._call("GetTensorBufferTensorType", buffer, byref(kind))
        self._call("LockTensorBuffer", buffer, byref(host), _READ)
        shape, dtype = kind.layout.shape, np.dtype(_TYPES[kind.element_type])
        size = int(np.prod(shape)) * dtype.itemsize
        found = np.frombuffer(ctypes.string_at(host, size), dtype).reshape(shape).copy()
        self._call("UnlockTensorBuffer", buffer)
        return found

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._lib, f"LiteRt{name}")(*arguments)
        if status:
            raise LiteRtError(f"LiteRt{name}: status {status}")
