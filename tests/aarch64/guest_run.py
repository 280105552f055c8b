# SPDX-License-Identifier: Apache-2.0
"""Runs in the aarch64 Python: ``guest_run.py MODEL INPUT.npy OUTPUT.npy [LIBRARY [KEY=VALUE ...]]``.

Writes the model's first output, and prints the name of the kernel that the delegate ran last.
"""

import ctypes
import platform
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate


def main(model: str, source: str, target: str, *delegate: str) -> None:
    assert platform.machine() == "aarch64"
    options = dict(option.split("=", 1) for option in delegate[1:])
    delegates = [load_delegate(delegate[0], options)] if delegate else None
    interpreter = Interpreter(model_path=model, num_threads=1, experimental_delegates=delegates)
    x = np.load(source)
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, x)
    interpreter.invoke()
    np.save(target, interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    if delegate:
        library = ctypes.CDLL(delegate[0])
        library.tfprune_last_kernel.restype = ctypes.c_char_p
        print(library.tfprune_last_kernel().decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
