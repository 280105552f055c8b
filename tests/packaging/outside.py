# SPDX-License-Identifier: Apache-2.0
"""Runs with the installed wheel, outside the repository and without TensorFlow: ``outside.py DENSE.tflite FOLDER``."""

import importlib.util
import sys
from pathlib import Path

import numpy as np

import tfprune as tp


def main(dense: str, folder: str) -> None:
    assert importlib.util.find_spec("tensorflow") is None
    assert Path(sys.prefix) in Path(tp.__file__).parents, tp.__file__
    sparse = Path(folder) / "sparse.tflite"
    converted = tp.convert(dense, min_speedup=0.01)
    converted.save(sparse)
    assert sparse.stat().st_size < 0.5 * Path(dense).stat().st_size
    x = np.random.default_rng(1).standard_normal((1, 12, 12, 32)).astype(np.float32)
    expected = tp.Interpreter(dense).predict(x)
    np.testing.assert_allclose(tp.Interpreter(str(sparse)).predict(x), expected, rtol=1e-4, atol=1e-4)
    assert tp.verify(dense, str(sparse)).to_dict()
    print("converted and ran")


if __name__ == "__main__":
    main(*sys.argv[1:])
