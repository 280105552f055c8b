# SPDX-License-Identifier: Apache-2.0
"""Commands on an attached Android phone, through the program ``adb``."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfprune.errors import ProfileError

_SDK_VARIABLES = ("ANDROID_HOME", "ANDROID_SDK_ROOT")
_WAIT_SECONDS = 60.0
# adb ends with the exit code of the phone's command or with one of its own: so the phone's shell prints it last.
_MARK = "tfprune-exit-code"
_MARK_PATTERN = re.compile(rf"{_MARK} (\d+)\s*$")
_REMEDIES = {
    "unauthorized": "unlock the phone and allow debugging by this computer",
    "offline": "plug the phone in again, or run `adb reconnect`",
    "no permissions": "let your user use the phone's USB device: https://developer.android.com/tools/device",
}


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command on the phone left behind.

    Attributes:
        code: its exit code.
        output: what it printed on standard output.
        errors: what it printed on standard error.
    """

    code: int
    output: str
    errors: str


def find_adb(environment: Mapping[str, str] = os.environ) -> Path:
    """The program ``adb``: of the Android SDK that ``ANDROID_HOME`` names, or in ``PATH``.

    Raises:
        ProfileError: there is none.
    """
    for variable in _SDK_VARIABLES:
        found = Path(environment.get(variable) or os.devnull, "platform-tools", "adb")
        if found.is_file():
            return found
    on_path = shutil.which("adb", path=environment.get("PATH", os.defpath))
    if on_path is None:
        raise ProfileError(
            "adb: Android's platform tools are needed to measure on a phone, and were not found; install them (Debian: "
            "`apt install adb`) and put `adb` into PATH, or set ANDROID_HOME to the Android SDK"
        )
    return Path(on_path)


class AdbConnection:
    """One phone, chosen among the attached ones.

    Attributes:
        serial: of the phone.
    """

    def __init__(self, adb: Path, serial: str | None = None) -> None:
        """Looks which phones are attached.

        Args:
            adb: the program.
            serial: of the phone, as ``adb devices`` lists it; None: the only one.

        Raises:
            ProfileError: there is no such phone, several without a serial, or it does not let ``adb`` in.
        """
        self._adb = adb
        self.serial = _chosen(self._devices(), serial)

    def shell(self, command: str, seconds: float = _WAIT_SECONDS) -> Result:
        """Runs a command in the phone's shell.

        Raises:
            ProfileError: it did not end in time, or the phone went away.
        """
        done = self._run("-s", self.serial, "shell", f"{command}\necho {_MARK} $?", seconds=seconds)
        found = _MARK_PATTERN.search(done.stdout)
        if found is None:
            raise ProfileError(f"{self._gone()}: {_last_line(done)}; what was measured before is not lost")
        return Result(int(found[1]), done.stdout[: found.start()], done.stderr)

    def push(self, files: Sequence[Path], folder: str, seconds: float = 10 * _WAIT_SECONDS) -> None:
        """Copies files into a folder of the phone.

        Raises:
            ProfileError: they cannot be copied, not in time, or the phone went away.
        """
        done = self._run("-s", self.serial, "push", *map(str, files), folder, seconds=seconds)
        if done.returncode:
            raise ProfileError(f"{self._gone()}: files cannot be copied into {folder}: {_last_line(done)}")

    def _gone(self) -> str:
        """What to say of a command that failed: the phone is not there any more, or another reason follows."""
        state = dict(self._devices()).get(self.serial)
        if state == "device":
            return f"phone {self.serial}"
        return f"phone {self.serial} went away ({state or 'not attached'}); plug it in and run again"

    def _devices(self) -> list[tuple[str, str]]:
        done = self._run("devices")
        if done.returncode:
            raise ProfileError(f"`{self._adb} devices` failed: {_last_line(done)}; run `adb kill-server` and try again")
        _, _, listing = done.stdout.partition("List of devices attached")
        entries = (line.split(None, 1) for line in listing.splitlines() if line.strip())
        return [(serial, " ".join(rest).strip()) for serial, *rest in entries]

    def _run(self, *arguments: str, seconds: float = _WAIT_SECONDS) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [self._adb, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ProfileError(
                f"`adb {arguments[2] if len(arguments) > 2 else arguments[0]}` did not end within {seconds:g} s; look "
                "whether the phone is awake and attached"
            ) from error
        except OSError as error:
            raise ProfileError(
                f"`{self._adb}` cannot be run: {error.strerror}; install Android's platform tools"
            ) from error


def _chosen(devices: Sequence[tuple[str, str]], serial: str | None) -> str:
    if serial is None:
        if not devices:
            raise ProfileError(
                "adb: no phone is attached; plug one in, switch USB debugging on in its developer options, and look "
                "whether `adb devices` lists it"
            )
        if len(devices) > 1:
            names = ", ".join(name for name, _ in devices)
            raise ProfileError(f"adb: {len(devices)} phones are attached ({names}); say which one by its serial")
        serial = devices[0][0]
    state = dict(devices).get(serial)
    if state is None:
        names = ", ".join(name for name, _ in devices) or "none"
        raise ProfileError(f"adb: no phone {serial} is attached, but {names}; plug it in")
    if state != "device":
        remedies = [remedy for word, remedy in _REMEDIES.items() if state.startswith(word)]
        raise ProfileError(
            f"adb: phone {serial} is {state}; {remedies[0] if remedies else 'start Android and try again'}"
        )
    return serial


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
    told = [line for line in lines if "error" in line.lower()] or lines
    return told[-1] if told else f"adb ended with exit code {done.returncode}"
