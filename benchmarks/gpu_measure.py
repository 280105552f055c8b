# SPDX-License-Identifier: Apache-2.0
"""Models on this machine's OpenCL device: which device it is, answers, and time by the driver's own clock."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console

import tfprune as tp
from tfprune.errors import DelegateError
from tfprune.mapping.profiling.count_guest import random_input
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.one_op import dense_model
from tfprune.mapping.profiling.timing import FEWEST_ROUNDS, MOST_ROUNDS

#: How tensors and weights are stored, as `tp.Interpreter` names it.
STORAGES = ("f32", "f16")
#: Launches that bring an input to the device's layout and an output back: no work of a layer.
CONVERSIONS = ("gpu/FromNhwc", "gpu/ToNhwc")
#: Caches of drivers, which would make a program that is compiled look as if it came from our cache.
_CACHES = {"POCL_KERNEL_CACHE": "0", "CUDA_CACHE_DISABLE": "1", "MESA_SHADER_CACHE_DISABLE": "true"}
_SAMPLE_SECONDS = 1e-3


class Device(NamedTuple):
    """What runs the models.

    Attributes:
        name: device and driver.
        is_gpu: whether it is a GPU; on anything else only answers mean something.
    """

    name: str
    is_gpu: bool

    def headline(self) -> str:
        """The first line of what a script prints."""
        if self.is_gpu:
            return f"GPU: {self.name}"
        return f"NO GPU, {self.name}: times mean nothing, only the answers count"

    def rounds(self, seconds: float, one: float) -> int:
        """How many rounds of `one` second fit, 7 to 101; one round where times mean nothing."""
        return min(MOST_ROUNDS, max(FEWEST_ROUNDS, round(seconds / one))) if self.is_gpu else 1

    def times(self) -> str:
        """What stands in front of columns of times."""
        return "" if self.is_gpu else "(no GPU) "


def find_device(console: Console) -> Device:
    """The device that `backend="gpu"` takes; its headline is printed."""
    layer = LayerSizes("conv", 4, 4, 8, 8, 1, 1, 1)
    content = dense_model(layer, np.ones((8, 8), np.float32))
    try:
        name = tp.Interpreter(content, backend="gpu").placement().gpu
    except DelegateError as error:
        raise SystemExit(f"no OpenCL device: {error}") from error
    # "auto" takes nothing but GPUs.
    device = Device(name, bool(tp.Interpreter(content, backend="auto").placement().on("gpu")))
    console.print(device.headline(), highlight=False)
    return device


def without_driver_caches() -> None:
    """Turns the caches of drivers off that are known; must be called before OpenCL is loaded."""
    for name, value in _CACHES.items():
        os.environ.setdefault(name, value)


class GpuModel:
    """A file on the OpenCL device; it has run once.

    Args:
        content: the ``.tflite`` file, of one input.
        storage: one of :data:`STORAGES`.
        programs: folder of compiled programs.
        image: the input; default: that of `measure.Model`.
    """

    def __init__(
        self,
        content: bytes,
        storage: str = "f32",
        programs: Path | None = None,
        image: npt.NDArray[Any] | None = None,
    ) -> None:
        self.interpreter = tp.Interpreter(
            content, backend="gpu", precision=storage, profile=True, program_cache=programs
        )
        if image is None:
            (spec,) = self.interpreter.inputs()
            image = random_input({"shape": spec.shape, "dtype": spec.dtype})
        self._answer = self.interpreter.predict(image)

    def invoke(self) -> None:
        """Runs on the input; the way of input and output to the device and back is in its time."""
        self.interpreter.invoke()

    def answer(self) -> npt.NDArray[Any]:
        """The output of the first run."""
        if isinstance(self._answer, dict):
            raise SystemExit(f"a model with outputs {', '.join(self._answer)}; one is compared")
        return self._answer

    def kernels(self) -> list[str]:
        """The kernel of every launch, in order."""
        return [layer.kernel for layer in self.interpreter.delegate_layers() if layer.kernel.startswith("gpu/")]

    def launch_seconds(self) -> float:
        """Driver's seconds of all launches so far, without the conversions of input and output."""
        layers = self.interpreter.delegate_layers()
        return sum(each.seconds for each in layers if each.kernel not in CONVERSIONS)


class DeviceRounds(NamedTuple):
    """What interleaved runs took, in seconds of one run, ``[rounds, models]``.

    Attributes:
        launches: by the driver's clock, as `GpuModel.launch_seconds` counts.
        wall: from call to return.
    """

    launches: npt.NDArray[np.float64]
    wall: npt.NDArray[np.float64]


def device_rounds(models: Sequence[GpuModel], seconds: float, device: Device) -> DeviceRounds:
    """Runs the models in turns, in as many rounds as fit into `seconds`; every other one backwards."""
    counts = []
    for model in models:
        _, wall = _sample(model, 1)
        counts.append(max(1, round(_SAMPLE_SECONDS / wall)))
    start = time.perf_counter()
    _turn(models, counts, False)
    rounds = device.rounds(seconds, time.perf_counter() - start)
    found = np.array([_turn(models, counts, number % 2 == 1) for number in range(rounds)])
    return DeviceRounds(found[..., 0], found[..., 1])


def _turn(models: Sequence[GpuModel], counts: Sequence[int], backwards: bool) -> list[tuple[float, float]]:
    pairs = list(zip(models, counts, strict=True))
    samples = [_sample(*pair) for pair in (reversed(pairs) if backwards else pairs)]
    return samples[::-1] if backwards else samples


def _sample(model: GpuModel, count: int) -> tuple[float, float]:
    before, start = model.launch_seconds(), time.perf_counter()
    for _ in range(count):
        model.invoke()
    wall = time.perf_counter() - start
    launches = model.launch_seconds() - before
    if not launches > 0:
        raise SystemExit("the driver's clock did not move: its events have no profiling")
    return launches / count, wall / count
