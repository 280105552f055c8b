# SPDX-License-Identifier: Apache-2.0
"""Lists of numbers in as few bits as the largest needs, or in none where all are the same and not zero."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfprune.errors import PackedFormatError

IndexArray = npt.NDArray[np.int64]

MAX_BITS = 32
# Numbers handled at once: their bits are whole bytes.
_PART = 1 << 16


@dataclasses.dataclass
class Numbers:
    """A list that is given in parts: how many numbers, their sum, the smallest and the largest."""

    count: int = 0
    total: int = 0
    least: int = 0
    most: int = 0

    def add(self, numbers: IndexArray) -> None:
        """Takes one part in."""
        if not len(numbers):
            return
        least, most = int(numbers.min()), int(numbers.max())
        self.least, self.most = (min(least, self.least), max(most, self.most)) if self.count else (least, most)
        self.count += len(numbers)
        self.total += int(numbers.sum())

    @property
    def bits(self) -> int:
        """Bits of each number: 0 where all are equal and at least 1, else what the largest needs, at least 1."""
        return 0 if self.least == self.most and self.least > 0 else max(1, self.most.bit_length())


def least_bits(numbers: IndexArray) -> int:
    """Bits of each number of a list, as :attr:`Numbers.bits`."""
    found = Numbers()
    found.add(numbers)
    return found.bits


def list_bytes(count: int, bits: int) -> int:
    """Bytes of a list of ``count`` numbers."""
    return -(-count * bits // 8)


def pack_list(numbers: IndexArray, bits: int) -> npt.NDArray[np.uint8]:
    """The bytes of a list: numbers one after the other, lowest bit first."""
    packed = [np.zeros(0, np.uint8)]
    for first in range(0, len(numbers), _PART):
        planes = numbers[first : first + _PART, None] >> np.arange(bits) & 1
        packed.append(np.packbits(planes.astype(np.uint8).reshape(-1), bitorder="little"))
    return np.concatenate(packed)


def unpack_list(name: str, raw: npt.NDArray[np.uint8], count: int, bits: int, total: int) -> IndexArray:
    """Reads a list and checks that its numbers add up to ``total``.

    Raises:
        PackedFormatError: they do not; the message calls them ``name``.
    """
    if bits == 0:
        if count == 0 or total == 0 or total % count:
            raise PackedFormatError(
                f"packed weights: {name} without bits must be equal and not 0, got {total} in {count} lines"
            )
        return np.full(count, total // count)
    planes = np.unpackbits(raw, count=count * bits, bitorder="little").reshape(count, bits)
    numbers = np.zeros(count, np.int64)
    for bit in range(bits):
        numbers |= planes[:, bit].astype(np.int64) << bit
    if int(numbers.sum()) != total:
        raise PackedFormatError(f"packed weights: {name} must add up to {total}, got {int(numbers.sum())}")
    return numbers
