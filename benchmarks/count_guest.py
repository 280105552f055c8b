# SPDX-License-Identifier: Apache-2.0
"""Runs inside the aarch64 root: invokes every model of a folder between two marks that the counting plugin prints.

Usage: count_guest.py FOLDER LIBTFPRUNE RUNS
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate

MARK = 0x7F  # as in tools/aarch64/count_instructions.c


def main(folder: str, library: str, runs: int) -> None:
    """Invokes each model `runs` times between marks, after two runs that do not count."""
    mark = ctypes.CDLL(None).getpriority
    for path in sorted(Path(folder).glob("*.tflite")):
        delegates = [load_delegate(library)] if b"Tfprune" in path.read_bytes() else None
        interpreter = Interpreter(model_path=str(path), num_threads=1, experimental_delegates=delegates)
        interpreter.allocate_tensors()
        details = interpreter.get_input_details()[0]
        data = np.random.default_rng(0).normal(size=details["shape"]).astype(np.float32)
        interpreter.set_tensor(details["index"], data)
        for _ in range(2):
            interpreter.invoke()
        mark(MARK, 0)
        for _ in range(runs):
            interpreter.invoke()
        mark(MARK, 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
