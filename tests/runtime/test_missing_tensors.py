# SPDX-License-Identifier: Apache-2.0
"""LiteRT lets an op leave out any input and output: an error or a result, never a crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_no_missing_tensor_crashes_the_process() -> None:
    command = [sys.executable, "-m", "tests.runtime.missing_tensors"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=root)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-2000:]}"
    told = done.stdout.splitlines()
    assert len(told) == 3 * 19
    assert not [line for line in told if "has TFLite type" in line], "something was read that is no tensor"
    # Of each of the two convolutions the input, the weights, the geometry and the output.
    assert sum("the op needs 3 or 4 inputs and 1 output" in line for line in told) == 3 * 8
    # A bias may be missing.
    assert 3 * 2 <= told.count("ran") <= 3 * 3
