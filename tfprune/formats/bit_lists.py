# SPDX-License-Identifier: Apache-2.0
"""Lists of numbers in as few bits as the largest needs, or in none where all are the same and not zero."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfprune.errors import PackedFormatError

IndexArray = npt.NDArray[np.int64]

MAX_BITS = 32


def least_bits(numbers: IndexArray) -> int:
    """Bits of each number of a list: 0 where all are equal and at least 1, else what the largest needs, at least 1."""
    if not len(numbers):
        return 1
    least, most = int(numbers.min()), int(numbers.max())
    return 0 if least == most and least > 0 else max(1, most.bit_length())


def list_bytes(count: int, bits: int) -> int:
    """Bytes of a list of ``count`` numbers."""
    return -(-count * bits // 8)


def pack_list(numbers: IndexArray, bits: int) -> npt.NDArray[np.uint8]:
    """The bytes of a list: numbers one after the other, lowest bit first."""
    planes = numbers[:, None] >> np.arange(bits) & 1
    packed: npt.NDArray[np.uint8] = np.packbits(planes.astype(np.uint8).reshape(-1), bitorder="little")
    return packed


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
