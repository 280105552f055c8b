# SPDX-License-Identifier: Apache-2.0
"""What a profile can be measured on: this machine, its GPU, or an emulated aarch64 one."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tfprune.costs.facts import BACKENDS, DeviceFacts
from tfprune.errors import ProfileError
from tfprune.mapping.profiling.adb import AdbDevice
from tfprune.mapping.profiling.device import arm64_facts, host_facts, second_level_cache, today
from tfprune.mapping.profiling.gpu_timing import gpu_device, gpu_microseconds
from tfprune.mapping.profiling.instructions import AARCH64, CHECKOUT, aarch64_instructions
from tfprune.mapping.profiling.integers import INTEGERS
from tfprune.mapping.profiling.samples import Measure
from tfprune.mapping.profiling.timing import Models, host_microseconds
from tfprune.runtime.arguments import number_of_threads

UNITS = {"host": "microseconds", "arm64": "aarch64 instructions", "adb": "microseconds"}
#: What ``make phone-tools`` makes.
PHONE_TOOLS = CHECKOUT / "build/phone/arm64-v8a"
#: Largest error of an answer by the largest magnitude; int8 inputs may differ by a step or two.
RTOL = dict.fromkeys(INTEGERS, 2e-2) | {"float32": 1e-4}


def _nothing() -> None:
    """For devices where nothing is left."""


@dataclasses.dataclass(frozen=True)
class Target:
    """Something that can be measured.

    Attributes:
        name: of the tables that are made of it.
        unit: of its times.
        facts: what it is.
        cache_bytes: as :class:`tfprune.costs.CostTable` has it.
        arm: whether its processor is an Arm one.
        layers: times groups of files that must give the same answer.
        ops: times groups of files that need not.
        batch: measurements that it is given at once.
        notes: what to know of its numbers; a phone adds to them while it is measured.
        close: leaves the device as it was.
    """

    name: str
    unit: str
    facts: DeviceFacts
    cache_bytes: int | None
    arm: bool
    layers: Measure
    ops: Measure
    batch: int = 16
    notes: Sequence[str] = ()
    close: Callable[[], None] = _nothing


def host_target(num_threads: int = 1, seconds: float = 0.05, more_tries: int = 1) -> Target:
    """This machine's CPU.

    Args:
        num_threads: CPU threads.
        seconds: how long the files of a group take turns.
        more_tries: after one that other processes disturbed. Least times hardly suffer, and a profile is to end.
    """
    facts = host_facts("cpu", num_threads)
    measure = partial(host_microseconds, seconds=seconds, threads=num_threads, more_tries=more_tries)
    arm = (facts.system or "").split()[-1] in ("aarch64", "arm64")
    return Target("host", UNITS["host"], facts, second_level_cache(), arm, measure, measure)


def gpu_target(seconds: float = 0.05) -> Target:
    """This machine's OpenCL device."""
    name, is_gpu = gpu_device()
    facts = dataclasses.replace(host_facts("gpu"), arch=name)
    notes = () if is_gpu else (f"NO GPU: {name} runs OpenCL on a CPU, and its times say nothing about a GPU",)
    measure = partial(gpu_microseconds, seconds=seconds)
    return Target("host-gpu", UNITS["host"], facts, None, False, measure, partial(measure, every=False), notes=notes)


def arm64_target(
    precision: str, root: Path = AARCH64 / "root", library: Path = AARCH64 / "libtfprune.so", batch: int = 64
) -> Target:
    """The emulated aarch64 machine of ``make build-aarch64``.

    Args:
        precision: of what is measured; it says how far answers may differ.
        root: of ``tools/aarch64/make_root.sh``.
        library: libtfprune for aarch64.
        batch: measurements of one start of the emulator, which takes seconds.
    """
    if not library.exists():
        raise ProfileError(f"target arm64: `{library}` is missing; run `make build-aarch64` in a checkout of tfprune")
    count = partial(aarch64_instructions, root=root, library=library)
    layers, ops = partial(count, rtol=RTOL[precision]), partial(count, rtol=None)
    return Target("arm64", UNITS["arm64"], arm64_facts(root, library), None, True, layers, ops, batch)


def phone_target(
    precision: str,
    serial: str | None = None,
    backend: str = "cpu",
    num_threads: int = 1,
    tools: str | os.PathLike[str] | None = None,
) -> Target:
    """An attached Android phone.

    Args:
        precision: of what is measured; it says how far answers may differ.
        serial: of the phone, where several are attached.
        backend: ``"cpu"`` or ``"gpu"``.
        num_threads: CPU threads.
        tools: the folder that ``make phone-tools`` makes; default: that of the checkout.

    Raises:
        ProfileError: no ``adb``, no such phone, or something does not load there.
    """
    phone = AdbDevice(tools or PHONE_TOOLS, serial=serial, backend=backend, num_threads=num_threads)
    found = phone.facts
    facts = DeviceFacts(
        target="adb",
        processor=", ".join(each for each in (found.model, found.processor) if each) or None,
        cores=found.cores or None,
        system=found.system or None,
        backend=backend,
        num_threads=num_threads,
        litert=found.litert or None,
        libtfprune=found.libtfprune or None,
        arch=found.arch or None,
        library_sha256=found.library_sha256 or None,
        date=today(),
    )
    layers, ops = partial(phone.measure, tolerance=RTOL[precision]), partial(where_it_runs, phone)
    return Target("phone", UNITS["adb"], facts, None, True, layers, ops, notes=phone.notes, close=phone.close)


def where_it_runs(phone: AdbDevice, groups: Iterable[Models]) -> Iterator[tuple[float, ...]]:
    """Times groups of files that need not give the same answer; 0 stands for what the phone's LiteRT refuses.

    Raises:
        ProfileError: what ran before runs no longer.
    """
    known: list[Models] = []
    for models in groups:
        try:
            yield next(iter(phone.measure([models], tolerance=None)))
        except ProfileError:
            if not known:
                raise
            # A phone that is gone runs nothing any more.
            list(phone.measure(known, tolerance=None))
            yield (0.0,) * len(models)
        else:
            known = known or [models]


def target_of(target: str | Target, backend: str, num_threads: int, precision: str) -> Target:
    """The target of a name.

    Raises:
        ProfileError: no such target or backend, or one that the target does not have.
    """
    number_of_threads(num_threads)
    if isinstance(target, Target):
        return target
    name, _, serial = target.partition(":") if isinstance(target, str) else ("", "", "")
    if name not in UNITS or (serial and name != "adb"):
        raise ProfileError(f"target must be host, arm64, adb or adb:SERIAL, got {target!r}")
    if backend not in BACKENDS:
        raise ProfileError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    if name == "adb":
        return phone_target(precision, serial or None, backend, num_threads)
    if name == "arm64":
        if backend != "cpu" or num_threads != 1:
            raise ProfileError(
                f"target arm64 counts instructions of one CPU thread, got backend {backend} and {num_threads} threads; "
                "leave both at their defaults"
            )
        return arm64_target(precision)
    if backend == "cpu":
        return host_target(num_threads)
    if num_threads != 1:
        raise ProfileError(f"backend gpu: num_threads must be 1, got {num_threads}; it counts CPU threads")
    if precision != "float32":
        raise ProfileError(f"backend gpu: precision must be float32, got {precision}: a GPU computes in floats")
    return gpu_target()
