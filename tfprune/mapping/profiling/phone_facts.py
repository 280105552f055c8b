# SPDX-License-Identifier: Apache-2.0
"""What a phone tells about itself."""

from __future__ import annotations

import dataclasses
import re

from tfprune.errors import ProfileError

_PROPERTIES = (
    "ro.product.manufacturer",
    "ro.product.model",
    "ro.soc.manufacturer",
    "ro.soc.model",
    "ro.board.platform",
    "ro.build.version.release",
    "ro.build.version.sdk",
    "ro.product.cpu.abilist",
)
_CPUS = "/sys/devices/system/cpu"
#: Prints properties, which CPUs there are, and how fast each can run, one ``name=value`` a line.
FACTS_COMMAND = (
    f'for name in {" ".join(_PROPERTIES)}; do echo "$name=$(getprop $name)"; done; '
    f'echo "present=$(cat {_CPUS}/present)"; '
    f'for file in {_CPUS}/cpu[0-9]*/cpufreq/cpuinfo_max_freq; do echo "$file=$(cat $file)"; done 2>/dev/null'
)
_FREQUENCY = re.compile(r"/cpu(\d+)/cpufreq/cpuinfo_max_freq=(\d+)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class PhoneFacts:
    """What times on a phone depend on; ``""`` where it does not tell.

    Attributes:
        model: manufacturer and name of the phone.
        processor: its system on a chip.
        cores: CPUs, 0 where it does not tell.
        system: version of Android.
        api: its API level, 0 where it does not tell.
        abis: kinds of programs that run there.
        litert: version of the runtime.
        libtfprune: version of the delegate.
        arch: kernels that the delegate chooses by itself.
        library_sha256: the first 16 digits of the delegate's digest.
    """

    model: str
    processor: str
    cores: int
    system: str
    api: int
    abis: tuple[str, ...]
    litert: str = ""
    libtfprune: str = ""
    arch: str = ""
    library_sha256: str = ""


def read_facts(text: str) -> PhoneFacts:
    """Facts from what :data:`FACTS_COMMAND` printed."""
    known = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    values = {name: known.get(name, "").strip() for name in (*_PROPERTIES, "present")}
    release, sdk = values["ro.build.version.release"], values["ro.build.version.sdk"]
    chip = _joined(values["ro.soc.manufacturer"], values["ro.soc.model"])  # from Android 12 on
    return PhoneFacts(
        model=_joined(values["ro.product.manufacturer"], values["ro.product.model"]),
        processor=chip or values["ro.board.platform"],
        cores=_count(values["present"]),
        system=f"Android {release} (API {sdk})" if release else "",
        api=int(sdk) if sdk.isdigit() else 0,
        abis=tuple(abi for abi in values["ro.product.cpu.abilist"].split(",") if abi),
    )


def big_cpus(text: str) -> str:
    """The mask of the CPUs that can run faster than the slowest, from what :data:`FACTS_COMMAND` printed.

    Raises:
        ProfileError: the phone does not tell, or all are alike.
    """
    frequencies = {int(cpu): int(frequency) for cpu, frequency in _FREQUENCY.findall(text)}
    if len(set(frequencies.values())) < 2:
        told = "does not tell how fast its CPUs are" if not frequencies else "has CPUs of one speed only"
        raise ProfileError(f'cpus: "big" are the CPUs that are faster than others, but the phone {told}; give a mask')
    slowest = min(frequencies.values())
    return f"{sum(1 << cpu for cpu, frequency in frequencies.items() if frequency > slowest):x}"


def _joined(*words: str) -> str:
    return " ".join(word for word in words if word)


def _count(ranges: str) -> int:
    """Numbers in ranges as Linux writes them, such as ``0-3,6``."""
    ends = [part.split("-") for part in ranges.split(",") if part.strip()]
    if not all(end.strip().isdigit() for part in ends for end in part):
        return 0
    return sum(int(part[-1]) - int(part[0]) + 1 for part in ends)
