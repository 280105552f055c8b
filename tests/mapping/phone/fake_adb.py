# SPDX-License-Identifier: Apache-2.0
"""An ``adb`` whose phone is the folder beside it: copied there under the name ``adb`` and run as a program.

``phone.json`` in that folder says what is attached and what fails; ``phone/`` is the phone's disk. A shell command runs
in this machine's shell, with the phone's paths replaced. ``log.jsonl`` keeps the arguments of every call.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
STATE, DISK = HERE / "phone.json", HERE / "phone"


def main(arguments: list[str]) -> int:
    """Does what adb does with these arguments."""
    state = json.loads(STATE.read_text())
    with (HERE / "log.jsonl").open("a") as log:
        log.write(json.dumps(arguments) + "\n")
    if state.get("devices_fail"):
        print("error: cannot connect to daemon", file=sys.stderr)
        return 1
    if arguments == ["devices"]:
        print("List of devices attached")
        print("".join(f"{serial}\t{condition}\n" for serial, condition in state["devices"]))
        return 0
    option, serial, command, *rest = arguments
    assert option == "-s", arguments
    if serial not in dict(state["devices"]):
        print(f"error: device '{serial}' not found", file=sys.stderr)
        return 1
    return _push(state, rest) if command == "push" else _shell(state, rest)


def _push(state: dict[str, Any], arguments: list[str]) -> int:
    *files, folder = arguments
    target = Path(_mapped(folder))
    if not target.is_dir() or state.get("full"):
        print(f"adb: error: failed to copy '{files[0]}' to '{folder}': No space left on device", file=sys.stderr)
        return 1
    for file in files:
        shutil.copy(file, target)
    print(f"{len(files)} files pushed")
    return 0


def _shell(state: dict[str, Any], arguments: list[str]) -> int:
    (command,) = arguments
    if ".tflite" in command and "tfprune_benchmark" in command:
        state["runs"] = state.get("runs", 0) + 1
        if state["runs"] == state.get("unplug_at"):
            state["devices"] = state.get("afterwards", [])
            STATE.write_text(json.dumps(state))
            print('{"version": "0.')
            return 255
        STATE.write_text(json.dumps(state))
    if state.get("hang"):
        time.sleep(600)
    _make_commands(state)
    environment = {
        **os.environ,
        "PATH": f"{DISK / 'bin'}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": str(HERE / "libraries"),
    }
    done = subprocess.run(["/bin/sh", "-c", _mapped(command)], env=environment, capture_output=True, check=False)
    sys.stdout.buffer.write(done.stdout)
    sys.stderr.buffer.write(done.stderr)
    return done.returncode


def _mapped(text: str) -> str:
    """Paths of the phone as paths of its folder."""
    for path in ("/data/local/tmp", "/sys/devices/system/cpu"):
        text = text.replace(path, f"{DISK}{path}")
    return text


def _make_commands(state: dict[str, Any]) -> None:
    """Android's own commands that a test needs."""
    cases = "".join(f"{name}) echo '{value}';; " for name, value in state["properties"].items())
    commands = {"getprop": f'case "$1" in {cases} esac'}
    if "thermal" in state:
        commands["dumpsys"] = f'echo "IsStatusOverride: false"; echo "Thermal Status: {state["thermal"]}"'
    if state.get("no_digests"):
        commands["sha256sum"] = "echo 'sh: sha256sum: not found' >&2; exit 127"
    for name, script in commands.items():
        program = DISK / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
