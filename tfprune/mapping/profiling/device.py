# SPDX-License-Identifier: Apache-2.0
"""What a profile is measured on, and whether a table fits what is here."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from pathlib import Path
from typing import Any

from tfprune import __version__
from tfprune.costs.facts import DeviceFacts
from tfprune.costs.table import CostTable
from tfprune.errors import DelegateError, ProfileError
from tfprune.runtime.library import library_path, load_library
from tfprune.runtime.machine import machine_facts, usable_cores

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_PROCESSOR = "Cortex-A76 emulated by qemu"
#: What a table of this machine must share with it, and one of another device with the library that is installed.
_OF_HOST = ("processor", "system", "backend", "num_threads", "litert", "libtfprune", "arch")
_OF_OTHERS = ("libtfprune",)


def host_facts(backend: str = "cpu", num_threads: int = 1) -> DeviceFacts:
    """This machine.

    Raises:
        DelegateError: ``libtfprune`` is missing.
    """
    known, library = machine_facts(), load_library()
    return DeviceFacts(
        target="host",
        processor=known["processor"],
        cores=usable_cores(),
        system=known["system"],
        backend=backend,
        num_threads=num_threads,
        litert=known["LiteRT"],
        libtfprune=library.version,
        arch=library.detected_arch,
        library_sha256=digest(library_path()),
        date=today(),
    )


def arm64_facts(root: Path, library: Path) -> DeviceFacts:
    """The emulated machine of ``make build-aarch64``.

    Args:
        root: where its LiteRT is.
        library: libtfprune for aarch64, of the same sources as this machine's.
    """
    packages = sorted((root / "site").glob("ai_edge_litert-*.dist-info"))
    return DeviceFacts(
        target="arm64",
        processor=_PROCESSOR,
        system="Linux aarch64",
        backend="cpu",
        num_threads=1,
        litert=packages[-1].name.split("-")[1].removesuffix(".dist") if packages else None,
        libtfprune=load_library().version,
        library_sha256=digest(library),
        date=today(),
    )


def conditions_of(facts: DeviceFacts) -> dict[str, Any]:
    """What two measurements must share to be compared."""
    return {"device": {**dataclasses.asdict(facts), "date": None}, "tfprune": __version__}


def described(facts: DeviceFacts) -> str:
    """The facts in words."""
    threads = "one thread" if facts.num_threads == 1 else f"{facts.num_threads} threads"
    what = "XNNPACK, " + threads if facts.backend == "cpu" else "the OpenCL backend"
    kernels = f" ({facts.arch})" if facts.arch else ""
    return f"LiteRT {facts.litert} with {what}, on {facts.processor}, libtfprune {facts.libtfprune}{kernels}"


def second_level_cache() -> int | None:
    """Bytes of the second-level cache of a core of this machine, as Linux tells them; None where it does not."""
    try:
        text = (_CACHES / "index2/size").read_text().strip()
    except OSError:
        return None
    return int(text.removesuffix("K")) << 10


def check_table(
    table: CostTable, *, backend: str | None = None, num_threads: int | None = None, force: bool = False
) -> tuple[str, ...]:
    """Refuses a table of another device or of another library.

    A table of this machine (target ``"host"``) must have been measured on a processor, system and versions like those
    here. Of a table of another device only the version of ``libtfprune`` can be compared: what that device has now is
    not known here. Tables that come with tfprune are general, and never refused; facts that nobody knows any more say
    nothing.

    Args:
        table: what predicts.
        backend: what is to run the model; None: whatever the table is of.
        num_threads: CPU threads; None: as many as the table is of.
        force: whether any table is fine.

    Returns:
        What is to be known of its predictions: what could not be compared, and what ``force`` let pass.

    Raises:
        ProfileError: it does not fit; both sides are named.
    """
    if table.general:
        return ()
    there = table.device
    try:
        here = host_facts(backend or there.backend or "cpu", num_threads or there.num_threads or 1)
    except DelegateError as error:
        text = f"profile {table.name}: cannot be compared with this machine: {error}"
        if force:
            return (text,)
        raise ProfileError(text) from error
    names = _OF_HOST if there.target == "host" else _OF_OTHERS
    asked = [name for name, value in (("backend", backend), ("num_threads", num_threads)) if value is not None]
    differing = "; ".join(
        f"{name} {getattr(there, name)} and not {getattr(here, name)}"
        for name in dict.fromkeys((*names, *asked))
        if getattr(there, name) is not None and getattr(there, name) != getattr(here, name)
    )
    if differing and not force:
        raise ProfileError(
            f"profile {table.name}: was measured with {differing}; measure again with `tfprune profile`, or pass "
            "force=True to use it all the same"
        )
    notes = [f"profile {table.name} is used by force: it was measured with {differing}"] if differing else []
    if there.target != "host":
        notes.append(
            f"profile {table.name} is of another device, {there.processor or 'unknown'} with LiteRT "
            f"{there.litert or 'unknown'}: of what will run the model only the version of libtfprune was compared"
        )
    return tuple(notes)


def digest(library: Path) -> str:
    """What tells one build of a library from another."""
    return hashlib.sha256(library.read_bytes()).hexdigest()[:16]


def today() -> str:
    """The date."""
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()
