# SPDX-License-Identifier: Apache-2.0
"""What a measured number depends on: processor, cores, system and versions."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from tfprune.errors import DelegateError
from tfprune.runtime.library import load_library

_CPU_INFO = Path("/proc/cpuinfo")
# Arm's kernel prints "Hardware" or nothing where x86 prints "model name".
_NAME_KEYS = ("model name", "Hardware", "Processor")


def machine_facts() -> dict[str, str]:
    """Returns facts by name: processor, cores this process may use, system, LiteRT, libtfprune and its kernels."""
    facts = {
        "processor": processor_name(),
        "cores": str(usable_cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "LiteRT": metadata.version("ai-edge-litert"),
    }
    try:
        library = load_library()
    except DelegateError:
        facts["libtfprune"] = "not installed"
    else:
        facts["libtfprune"] = f"{library.version} ({library.detected_arch})"
    return facts


def processor_name() -> str:
    """The processor's name as the system gives it, or its architecture."""
    if _CPU_INFO.is_file():
        entries = (line.split(":", 1) for line in _CPU_INFO.read_text().splitlines() if ":" in line)
        found = {key.strip(): value.strip() for key, value in entries}
        for key in _NAME_KEYS:
            if found.get(key):
                return found[key]
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
