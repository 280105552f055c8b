# SPDX-License-Identifier: Apache-2.0
"""Writes the files of one exporter into a folder: ``python -m tests.elsewhere pytorch FOLDER``.

Each exporter has a process of its own: PyTorch crashes beside TensorFlow, and TFMOT wants Keras 2.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    exporter, folder = sys.argv[1:]
    files = importlib.import_module(f"tests.elsewhere.{exporter}_files").FILES
    for number, (name, make) in enumerate(files.items()):
        made = {key: value for key, value in vars(make()).items() if value is not None}
        made["data"] = np.frombuffer(made["data"], np.uint8)
        np.savez(Path(folder) / f"{number:03d}.npz", name=name, **made)
