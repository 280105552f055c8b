# SPDX-License-Identifier: Apache-2.0
"""Index costs that several patterns share."""

from __future__ import annotations

# A plain list; packed files are smaller.
_ENTRY_BITS = 16
_LINE_BITS = 32


def list_bits(entries: int, lines: int) -> int:
    """Bits of lists of columns, one list a line.

    Args:
        entries: Columns in all lists.
        lines: Lists.

    Returns:
        ``16 * entries + 32 * lines``.
    """
    return _ENTRY_BITS * entries + _LINE_BITS * lines


def choice_bits(options: int) -> int:
    """Bits that tell one of several options: ``ceil(log2(options))``."""
    return (options - 1).bit_length()
