# SPDX-License-Identifier: Apache-2.0
"""What the README tells a newcomer to type works, in order, in one folder."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT, fenced

README = ROOT / "README.md"


def test_the_readme_runs(tmp_path: Path) -> None:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    for block in fenced(README, "python"):
        done = subprocess.run(
            [sys.executable, "-c", block.text],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "pruned.tflite").stat().st_size < 0.6 * (tmp_path / "dense.tflite").stat().st_size
    commands = [
        line
        for line in "".join(block.text for block in fenced(README, "console")).splitlines()
        if line.startswith("tfprune ")
    ]
    assert len(commands) == 4
    program = Path(sys.executable).with_name("tfprune")
    for command in commands:
        arguments = shlex.split(command)[1:]
        done = subprocess.run([program, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
