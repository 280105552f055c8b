# SPDX-License-Identifier: Apache-2.0
"""Runs inside the aarch64 root: invokes every model of a folder between two marks that the counting plugin prints.

Models are named GROUP_PLACE.tflite. Each group's answers are compared with those of its first model; the largest
difference, by the largest magnitude, is printed as "error NAME VALUE".

Usage: count_guest.py FOLDER LIBTFPRUNE RUNS
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate

MARK = 0x7F  # as in tools/aarch64/count_instructions.c


def random_input(details: dict[str, Any], seed: int = 0) -> Any:
    """Normal values for a float input, all values of the type alike for a whole number."""
    random = np.random.default_rng(seed)
    kind = np.dtype(details["dtype"])
    if kind.kind == "f":
        return random.normal(size=details["shape"]).astype(kind)
    return random.integers(np.iinfo(kind).min, np.iinfo(kind).max, details["shape"], kind, endpoint=True)


def main(folder: str, library: str, runs: int) -> None:
    """Invokes each model `runs` times between marks, after one that does not count."""
    mark = ctypes.CDLL(None).getpriority
    first: dict[str, Any] = {}
    for path in sorted(Path(folder).glob("*.tflite")):
        delegates = [load_delegate(library)] if b"Tfprune" in path.read_bytes() else None
        interpreter = Interpreter(model_path=str(path), num_threads=1, experimental_delegates=delegates)
        interpreter.allocate_tensors()
        details = interpreter.get_input_details()[0]
        interpreter.set_tensor(details["index"], random_input(details))
        interpreter.invoke()
        mark(MARK, 0)
        for _ in range(runs):
            interpreter.invoke()
        mark(MARK, 0)
        answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).astype(np.float64)
        expected = first.setdefault(path.stem.split("_")[0], answer)
        # A layer without kept weights answers zero: then any difference counts.
        print("error", path.stem, np.abs(answer - expected).max() / (np.abs(expected).max() or 1.0))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
