# SPDX-License-Identifier: Apache-2.0
"""Arrays that users give as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfprune.errors import RuntimeInputError


def read_arrays(path: Path, option: str) -> Any:
    """Reads a ``.npy`` array, or the arrays of a ``.npz`` archive as a dict by name; ``option`` names it in messages.

    Raises:
        RuntimeInputError: the file cannot be read, is no such file, or holds Python objects.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError) as error:
        raise RuntimeInputError(
            f"{option}: `{path}` must be a .npy or .npz file of numbers: {error}; write it with numpy.save or "
            "numpy.savez"
        ) from error
