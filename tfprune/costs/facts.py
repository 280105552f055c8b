# SPDX-License-Identifier: Apache-2.0
"""What a cost table was measured on, and how far its predictions are off."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfprune.costs.rules import number, only_keys, refuse, text

#: What was measured how: ``"host"`` times of this machine, ``"arm64"`` instructions of an emulated one, ``"adb"`` times
#: of an attached phone, ``"app"`` times that the Android demo app took on its phone.
TARGETS = ("host", "arm64", "adb", "app")
BACKENDS = ("cpu", "gpu")
#: Parts of a table that are fitted on their own.
PARTS = ("layers", "stock_ops", "networks")
_COUNTS = ("cores", "num_threads")


@dataclasses.dataclass(frozen=True)
class DeviceFacts:
    """What the numbers of a table depend on; None where it is not known any more.

    Attributes:
        target: one of :data:`TARGETS`.
        processor: its name, as the system gives it.
        cores: that the process could run on.
        system: name and architecture, such as ``"Linux x86_64"``.
        backend: one of :data:`BACKENDS`.
        num_threads: CPU threads.
        litert: version of LiteRT.
        libtfprune: version of the delegate.
        arch: kernels that the delegate chose, or what ran on a GPU.
        library_sha256: the first 16 digits of the delegate's digest.
        date: of the measurement.
    """

    target: str | None = None
    processor: str | None = None
    cores: int | None = None
    system: str | None = None
    backend: str | None = None
    num_threads: int | None = None
    litert: str | None = None
    libtfprune: str | None = None
    arch: str | None = None
    library_sha256: str | None = None
    date: str | None = None


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Relative errors of predictions on what a fit did not see.

    Attributes:
        count: how many were predicted.
        median: the median error.
        within_90: nine of ten are at most this.
    """

    count: int
    median: float
    within_90: float

    def __str__(self) -> str:
        """In words."""
        return f"median {self.median:.0%}, 90 % of them within {self.within_90:.0%}"


def parse_facts(data: Any, where: str) -> DeviceFacts:
    """The facts of parsed JSON.

    Raises:
        ConversionError: they break a rule.
    """
    names = [field.name for field in dataclasses.fields(DeviceFacts)]
    only_keys(data, set(names), where, "device")
    for name in names:
        value = data[name]
        if value is None:
            continue
        if name in _COUNTS:
            if type(value) is not int or value < 1:
                refuse(where, f"device.{name} must be a whole number above 0 or null", value)
        else:
            text(value, where, f"device.{name}")
    for name, known in (("target", TARGETS), ("backend", BACKENDS)):
        if data[name] is not None and data[name] not in known:
            refuse(where, f"device.{name} must be one of {', '.join(known)} or null", data[name])
    return DeviceFacts(**data)


def parse_held_out(data: Any, where: str, path: str) -> dict[str, HeldOut]:
    """The errors of parsed JSON, by part; parts that were not measured are missing.

    Raises:
        ConversionError: they break a rule.
    """
    only_keys(data, set(PARTS) & set(data if isinstance(data, dict) else ()), where, path)
    found = {}
    for part, errors in data.items():
        only_keys(errors, {"count", "median", "within_90"}, where, f"{path}.{part}")
        if type(errors["count"]) is not int or errors["count"] < 1:
            refuse(where, f"{path}.{part}.count must be a whole number above 0", errors["count"])
        shares = {key: number(errors[key], where, f"{path}.{part}.{key}") for key in ("median", "within_90")}
        found[part] = HeldOut(errors["count"], **shares)
    return found
