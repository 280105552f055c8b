# SPDX-License-Identifier: Apache-2.0
"""Files that stand behind a model: TFLite metadata appends labels and vocabularies as a ZIP archive."""

from __future__ import annotations

import dataclasses
import struct

_LOCAL, _CENTRAL, _END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
# End of the central directory: signature, two disk numbers, two counts, bytes and offset of the directory, comment.
_END_RECORD = struct.Struct("<4s4H2IH")
# An entry of the directory: lengths of name, extra and comment, and the offset of its local header.
_ENTRY_BYTES, _ENTRY_LENGTHS, _ENTRY_OFFSET = 46, 28, 42
_ZIP64 = 0xFFFFFFFF


@dataclasses.dataclass(frozen=True)
class AppendedFiles:
    """A ZIP archive behind a model.

    Attributes:
        content: its bytes.
        start: where they began in the file they come from.
        offsets: places in ``content`` of the numbers that count from the start of that file.
    """

    content: memoryview
    start: int
    offsets: tuple[int, ...]

    def at(self, start: int) -> bytes:
        """The archive's bytes when it begins at byte ``start`` of another file."""
        moved = bytearray(self.content)
        for place in self.offsets:
            (offset,) = struct.unpack_from("<I", moved, place)
            struct.pack_into("<I", moved, place, offset + start - self.start)
        return bytes(moved)


def find_appended(data: bytes, end: int) -> AppendedFiles | None:
    """Reads what stands behind the last byte that the schema knows of.

    Args:
        data: the whole file.
        end: where the model ends.

    Returns:
        The archive, or None where there are only zeros.

    Raises:
        ValueError: there is something else, which nothing says how to move.
    """
    tail = memoryview(data)[end:]
    content = bytes(tail).lstrip(b"\0")
    if not content:
        return None
    start = len(data) - len(content)
    # An empty archive is its end alone.
    if not content.startswith((_LOCAL, _END)):
        raise ValueError(f"{len(content)} bytes")
    return AppendedFiles(memoryview(content), start, _offsets(content, start))


def _offsets(content: bytes, start: int) -> tuple[int, ...]:
    """Places of the offsets to move; none where they count from the archive's own start, as readers allow."""
    place = content.rfind(_END)
    if place < 0 or place + _END_RECORD.size > len(content):
        raise ValueError("a ZIP archive without its end")
    *_, count, size, offset, comment = _END_RECORD.unpack_from(content, place)
    directory = place - size
    if _ZIP64 in (size, offset) or directory < 0 or place + _END_RECORD.size + comment != len(content):
        raise ValueError("a ZIP archive of a form that cannot be moved")
    if offset != start + directory:
        return ()
    found = [place + 16]
    for _ in range(count):
        if content[directory : directory + 4] != _CENTRAL or directory + _ENTRY_BYTES > place:
            raise ValueError("a ZIP archive with a broken directory")
        found.append(directory + _ENTRY_OFFSET)
        directory += _ENTRY_BYTES + sum(struct.unpack_from("<3H", content, directory + _ENTRY_LENGTHS))
    if any(not start <= struct.unpack_from("<I", content, number)[0] < start + place for number in found[1:]):
        raise ValueError("a ZIP archive with a broken directory")
    return tuple(found)
