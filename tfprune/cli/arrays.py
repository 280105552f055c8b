# SPDX-License-Identifier: Apache-2.0
"""Arrays that users give as files."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tfprune.errors import RuntimeInputError

_ARRAY_START = b"\x93NUMPY"
# Of an archive with members, and of one without.
_ARCHIVE_STARTS = (b"PK\x03\x04", b"PK\x05\x06")


def read_arrays(path: Path, option: str) -> Any:
    """Reads a ``.npy`` array, or the arrays of a ``.npz`` archive as a dict by name; ``option`` names it in messages.

    Raises:
        RuntimeInputError: the file cannot be read, is no such file, or holds Python objects.
    """
    rule = f"{option}: `{path}` must be a .npy or .npz file of numbers"
    write = "write it with numpy.save or numpy.savez"
    try:
        # Opened here: numpy leaves the file of a broken archive open.
        with path.open("rb") as file:
            start = file.read(len(_ARRAY_START))
            if start != _ARRAY_START and not start.startswith(_ARCHIVE_STARTS):
                raise RuntimeInputError(f"{rule}, and it is neither; {write}")
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            return loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except RuntimeInputError:
        raise
    except OSError as error:
        raise RuntimeInputError(f"{rule}: {error.strerror or error}; {write}") from error
    # What numpy says of it is advice to programmers, such as to allow pickles.
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise RuntimeInputError(f"{rule}: it is cut off or corrupt, or holds Python objects; {write}") from error
