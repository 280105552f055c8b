# SPDX-License-Identifier: Apache-2.0
"""Where the sections of packed weights lie: one after the other, so that their sizes say it all."""

from __future__ import annotations

import dataclasses

from tfprune.formats.bit_lists import list_bytes
from tfprune.formats.enums import ValueType

#: Bytes of the header. Values follow at once: a multiple of what kernels like to start at.
HEADER_BYTES = 128
#: Where a file puts a packed tensor.
ALIGNMENT = 64


@dataclasses.dataclass(frozen=True)
class Counts:
    """What the sizes of the sections follow from; names as in ``docs/formats.md``."""

    value_type: ValueType
    out_channels: int
    columns: int
    line_count: int
    group_count: int
    value_count: int
    column_bytes: int
    column_unit: int
    count_bits: int
    row_count: int = 0
    row_bits: int = 0
    band_count: int = 0
    band_bits: int = 0

    @property
    def bitmap_bytes(self) -> int:
        """Bytes of the bitmap of one line."""
        return -(-self.columns // (8 * self.column_unit))

    @property
    def sections(self) -> Sections:
        """Offset of each section."""
        by_bits = self.column_bytes == 0
        scales = HEADER_BYTES + self.value_count * self.value_type.size
        if self.value_type.quantized:
            scales = -(-scales // 4) * 4
        columns = scales + (4 * self.out_channels if self.value_type.quantized else 0)
        columns += columns % max(1, self.column_bytes)
        column_bytes = self.line_count * self.bitmap_bytes if by_bits else self.group_count * self.column_bytes
        rows = columns + column_bytes
        counts = rows + self.row_count
        row_counts = counts + (0 if by_bits else list_bytes(self.line_count, self.count_bits))
        band_counts = row_counts + list_bytes(self.line_count, self.row_bits)
        return Sections(
            HEADER_BYTES,
            scales,
            columns,
            rows,
            counts,
            row_counts,
            band_counts,
            band_counts + list_bytes(self.band_count, self.band_bits),
        )


@dataclasses.dataclass(frozen=True)
class Sections:
    """Offsets in bytes, each the end of the section before it but for alignment; ``total`` is the tensor's size."""

    values: int
    scales: int
    columns: int
    rows: int
    counts: int
    row_counts: int
    band_counts: int
    total: int
