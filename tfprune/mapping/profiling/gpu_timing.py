# SPDX-License-Identifier: Apache-2.0
"""Times of models on this machine's OpenCL device, by the driver's own clock."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np

from tfprune.errors import DelegateError, ProfileError
from tfprune.mapping.profiling.count_guest import random_input
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.one_op import dense_model
from tfprune.mapping.profiling.timing import FEWEST_ROUNDS, MOST_ROUNDS, Models
from tfprune.runtime.interpreter import Interpreter

#: Launches that bring an input to the device's layout and an output back: no work of a layer.
CONVERSIONS = ("gpu/FromNhwc", "gpu/ToNhwc")


class GpuModel:
    """A file on the OpenCL device; it has run once.

    Raises:
        ProfileError: a part of it would run on the CPU.
    """

    def __init__(self, content: bytes) -> None:
        self._interpreter = Interpreter(content, backend="gpu", profile=True)
        placement = self._interpreter.placement()
        if len(placement.on("gpu")) < len(placement.nodes):
            raise ProfileError(f"backend gpu: a layer would run on the CPU: {placement}")
        (spec,) = self._interpreter.inputs()
        self._interpreter.predict(random_input({"shape": spec.shape, "dtype": spec.dtype}))

    def seconds(self, runs: int) -> float:
        """Driver's seconds of a run, without the conversions of input and output."""
        before = self._launches()
        for _ in range(runs):
            self._interpreter.invoke()
        passed = self._launches() - before
        if not passed > 0:
            raise ProfileError("backend gpu: the driver's clock did not move, its events have no profiling")
        return passed / runs

    def _launches(self) -> float:
        return sum(each.seconds for each in self._interpreter.delegate_layers() if each.kernel not in CONVERSIONS)


def gpu_microseconds(
    groups: Iterable[Models], seconds: float = 0.05, every: bool = True
) -> Iterator[tuple[float, ...]]:
    """Least time of one run of the models of each group, in turns, by the driver's clock.

    Args:
        groups: the files.
        seconds: how long the files of a group take turns.
        every: whether all must run on the device; else 0 stands for what does not.

    Raises:
        ProfileError: a model does not run on the device and must.
    """
    for models in groups:
        try:
            loaded = [GpuModel(content) for content in models]
        except (ProfileError, DelegateError) as error:
            if every:
                raise ProfileError(str(error)) from error
            yield (0.0,) * len(models)
            continue
        start = time.perf_counter()
        found = [[model.seconds(1) for model in loaded]]
        rounds = round(seconds / (time.perf_counter() - start))
        for _ in range(min(MOST_ROUNDS, max(FEWEST_ROUNDS, rounds))):
            found.append([model.seconds(1) for model in loaded])
        yield tuple((np.array(found).min(axis=0) * 1e6).tolist())


def gpu_device() -> tuple[str, bool]:
    """The OpenCL device, and whether it is a GPU.

    Raises:
        ProfileError: there is none.
    """
    content = dense_model(LayerSizes("conv", 4, 4, 8, 8, 1, 1, 1), np.ones((8, 8), np.float32))
    try:
        name = Interpreter(content, backend="gpu").placement().gpu
        # "auto" takes nothing but GPUs.
        return name, bool(Interpreter(content, backend="auto").placement().on("gpu"))
    except DelegateError as error:
        raise ProfileError(f"backend gpu: {error}") from error
