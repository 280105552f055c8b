# SPDX-License-Identifier: Apache-2.0
"""Invokes a model n times with one thread: ``invoke.py MODEL N [LIBRARY [KEY=VALUE ...]]``."""

import sys

from ai_edge_litert.interpreter import Interpreter, load_delegate


def main(model: str, count: str, *delegate: str) -> None:
    """Loads ``model``, with the delegate where one is named, and invokes it ``count`` times on zeros."""
    options = dict(option.split("=", 1) for option in delegate[1:])
    delegates = [load_delegate(delegate[0], options)] if delegate else None
    interpreter = Interpreter(model_path=model, num_threads=1, experimental_delegates=delegates)
    interpreter.allocate_tensors()
    for _ in range(int(count)):
        interpreter.invoke()


if __name__ == "__main__":
    main(*sys.argv[1:])
