# SPDX-License-Identifier: Apache-2.0
"""Files of a network that TFMOT pruned, made in another process."""

from __future__ import annotations

import functools
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.elsewhere.check import Exported

for module in ("tensorflow_model_optimization", "tf_keras"):
    if importlib.util.find_spec(module) is None:
        raise ImportError(f"{module} is not installed", name=module)


@functools.cache
def _files() -> dict[str, bytes]:
    script = Path(__file__).with_name("tfmot_script.py")
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([sys.executable, str(script), folder], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return {path.stem: path.read_bytes() for path in Path(folder).glob("*.tflite")}


_NAMES = [
    f"{precision}{end}"
    for end in ("", ", sparse encoding")
    for precision in ("float32", "float16", "dynamic range", "int8")
]
#: Files by name.
FILES: dict[str, Callable[[], Exported]] = {name: lambda name=name: Exported(_files()[name]) for name in _NAMES}
