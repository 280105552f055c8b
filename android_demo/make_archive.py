# SPDX-License-Identifier: Apache-2.0
"""Writes an Android archive: ``make_archive.py ARCHIVE NAME=FILE ...``; the same files give the same bytes."""

import sys
import zipfile
from pathlib import Path

_OLDEST = (1980, 1, 1, 0, 0, 0)
# Every archive has it; this one has no resources.
_EMPTY = ("R.txt",)


def main(archive: str, *entries: str) -> None:
    """Writes the archive with its entries in alphabetical order."""
    contents = {name: Path(path).read_bytes() for name, _, path in (entry.partition("=") for entry in entries)}
    contents |= dict.fromkeys(_EMPTY, b"")
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, _OLDEST)
            entry.external_attr = 0o644 << 16
            # A jar is compressed already.
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".jar") else zipfile.ZIP_DEFLATED
            file.writestr(entry, content)


if __name__ == "__main__":
    main(*sys.argv[1:])
