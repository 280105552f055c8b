# SPDX-License-Identifier: Apache-2.0
"""A phone that is a folder, and its ``adb``."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.mapping.phone.android_libc import make_android_libc
from tfprune import __version__
from tfprune.mapping.profiling.adb import DELEGATE, PROGRAM, RUNTIME, AdbDevice

HERE = Path(__file__).resolve().parent
REAL_TOOLS = HERE.parents[2] / "build" / "phone" / "x86_64"
SERIAL = "PHONE1"
PROPERTIES = {
    "ro.product.manufacturer": "Maker",
    "ro.product.model": "Model 8 Pro",
    "ro.soc.manufacturer": "Chips",
    "ro.soc.model": "C9",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a",
}


class Phone:
    """The folder: what is attached, what fails, and what was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "phone/data/local/tmp/tfprune"
        self.cpus = folder / "phone/sys/devices/system/cpu"
        self.adb = _program(folder / "adb", (HERE / "fake_adb.py").read_text())
        self.tools = folder / "tools"
        self._state: dict[str, Any] = {}
        (folder / "phone/data/local/tmp").mkdir(parents=True)
        self.tools.mkdir()
        self.set_program(__version__)
        (self.tools / DELEGATE).write_bytes(b"delegate")
        (self.tools / RUNTIME).write_bytes(b"runtime")
        self.set_cpus([1800000] * 4 + [2400000] * 3 + [2900000])
        self.set(devices=[[SERIAL, "device"]], properties=PROPERTIES)

    def set(self, **state: Any) -> None:
        """Changes what ``phone.json`` says."""
        self._state.update(state)
        (self.folder / "phone.json").write_text(json.dumps(self._state))

    def set_program(self, version: str) -> None:
        """Puts the program that pretends among the tools."""
        source = (HERE / "fake_program.py").read_text()
        _program(self.tools / PROGRAM, source.replace('VERSION = ""', f'VERSION = "{version}"'))

    def set_cpus(self, frequencies: list[int]) -> None:
        """How fast each CPU can run, in kHz."""
        shutil.rmtree(self.cpus, ignore_errors=True)
        for number, frequency in enumerate(frequencies):
            file = self.cpus / f"cpu{number}/cpufreq/cpuinfo_max_freq"
            file.parent.mkdir(parents=True)
            file.write_text(f"{frequency}\n")
        self.cpus.mkdir(parents=True, exist_ok=True)
        (self.cpus / "present").write_text(f"0-{len(frequencies) - 1}\n")

    def asked(self, command: str) -> list[list[str]]:
        """Arguments of the calls of one command, such as ``"push"``."""
        log = self.folder / "log.jsonl"
        calls = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [call[3:] for call in calls if call[2:3] == [command]]

    def runs(self) -> list[str]:
        """Commands that ran the program on models; the first one is of the reference model."""
        commands = [call[0].splitlines()[0] for call in self.asked("shell")]
        return [command for command in commands if PROGRAM in command and ".tflite" in command]

    def device(self, **options: Any) -> AdbDevice:
        """The device, as a user makes it."""
        return AdbDevice(options.pop("tools", self.tools), adb=options.pop("adb", self.adb), **options)


def _program(path: Path, source: str) -> Path:
    path.write_text(f"#!{sys.executable} -IS\n{source}")  # without packages Python starts faster
    path.chmod(0o755)
    return path


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    """A phone that works, with a program that only pretends."""
    return Phone(tmp_path)


@pytest.fixture(scope="session")
def android_libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Libraries by which Android's LiteRT loads on this machine."""
    assert REAL_TOOLS.is_dir(), f"{REAL_TOOLS} is missing: run `make test-python`"
    folder = tmp_path_factory.mktemp("android")
    make_android_libc(REAL_TOOLS / RUNTIME, folder)
    return folder


@pytest.fixture
def real_phone(phone: Phone, android_libraries: Path) -> Callable[..., AdbDevice]:
    """``real_phone(**options)``: the device with the real program, on Android's LiteRT and this machine's delegate."""
    (phone.folder / "libraries").symlink_to(android_libraries)
    return lambda **options: phone.device(tools=REAL_TOOLS, **options)
