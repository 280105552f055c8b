# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files that the tests of both languages read; run it after a deliberate change of the format.

For each line of ``manifest.txt`` there are ``<name>.bin`` (packed weights) and ``<name>.f32`` (the dense matrix, raw
little-endian float32, R * C values). The bytes are written here by loops that follow ``docs/formats.md`` word by
word, not by ``tfprune.formats``, so that a mistake in the encoder cannot hide in its own golden files.

``corruptions.txt`` lists single changes that a reader must refuse: name, offset, new bytes in hex, and whether the
header's checksum is made right again after the change (1) or left wrong (0).
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent
MANIFEST_FIELDS = [
    "name",
    "op",
    "encoding",
    "value_type",
    "activation",
    "padding",
    "out_channels",
    "kernel_h",
    "kernel_w",
    "in_channels",
    "stride_h",
    "stride_w",
    "dilation_h",
    "dilation_w",
    "keep_num_dims",
    "group_rows",
    "group_cols",
    "line_count",
    "group_count",
    "value_count",
]


def block_values(case: dict) -> list[tuple[int, int, float]]:
    """Row, column and value of all weights of the blocks in stored order; equal places add up."""
    found = []
    for band, blocks in enumerate(case["blocks"]):
        for block in blocks:
            rows = [band * case["band_rows"] + row for row in block["rows"]]
            while rows:
                # The fewest chunks, as even as they can be, the larger first.
                chunks = -(-len(rows) // case["group_rows"])
                size = -(-len(rows) // chunks)
                for column in block["columns"]:
                    for row in rows[:size]:
                        found.append((row, column, (len(found) % 29 - 14.5) / 8))
                rows = rows[size:]
    return found


def block_matrix(case: dict) -> np.ndarray:
    """The matrix of a case with blocks."""
    matrix = np.zeros((case["out_channels"], case["kernel_h"] * case["kernel_w"] * case["in_channels"]), "<f4")
    for row, column, value in block_values(case):
        matrix[row, column] += value
    return matrix


def block_sections(case: dict) -> tuple[list[bytes], dict]:
    """Line ends, columns and block rows; and the counts."""
    column_ends, row_ends, band_ends, steps, rows = [], [], [], [], []
    for blocks in case["blocks"]:
        for block in blocks:
            steps += [column - before for before, column in zip([0, *block["columns"]], block["columns"], strict=False)]
            rows += block["rows"]
            column_ends.append(len(steps))
            row_ends.append(len(rows))
        band_ends.append(len(row_ends))
    words = [case["band_rows"], *band_ends, *row_ends]
    sections = [
        struct.pack(f"<{len(column_ends)}I", *column_ends),
        struct.pack(f"<{len(steps)}H", *steps),
        struct.pack(f"<{len(words)}I", *words) + bytes(rows),
    ]
    return sections, {"line_count": len(row_ends), "group_count": len(steps), "value_count": len(block_values(case))}


def stored_values(case: dict) -> list[list[list[float]]]:
    """Values of each group of each line in stored order: small numbers that add up exactly.

    Where groups overlap the first one stores the weight and the others a zero, unless the case says that they "add".
    """
    taken: set[tuple[int, int]] = set()
    number = 0
    lines = []
    for line, starts in enumerate(case["lines"]):
        groups = []
        for start in starts:
            group = []
            for column in range(start, start + case["group_cols"]):
                for row in line_rows(case, line):
                    number += 1
                    again = (row, column) in taken and not case.get("add")
                    group.append(0.0 if again else (number % 29 - 14.5) / 8)
                    taken.add((row, column))
            groups.append(group)
        lines.append(groups)
    return lines


def dense_matrix(case: dict) -> np.ndarray:
    """The matrix of a case: the sum of its groups."""
    if "blocks" in case:
        return block_matrix(case)
    rows, cols = case["out_channels"], case["kernel_h"] * case["kernel_w"] * case["in_channels"]
    matrix = np.zeros((rows, cols), "<f4")
    for line, (starts, groups) in enumerate(zip(case["lines"], stored_values(case), strict=True)):
        for start, group in zip(starts, groups, strict=True):
            values = iter(group)
            for column in range(start, start + case["group_cols"]):
                for row in line_rows(case, line):
                    matrix[row, column] += next(values)
    return matrix


def line_rows(case: dict, line: int) -> list[int]:
    """Matrix rows of a line in their stored order."""
    size = case["group_rows"]
    if case["encoding"] == 1:
        return list(range(line * size, min(case["out_channels"], (line + 1) * size)))
    return sorted(range(line, line + size), key=lambda row: row % size)


def packed(case: dict) -> tuple[bytes, dict]:
    """The packed bytes, and the fields that go into the manifest."""
    if "blocks" in case:
        sections, counts = block_sections(case)
        values = [value for _, _, value in block_values(case)]
    else:
        sections, counts, values = group_sections(case)
    offsets, position = [], 128
    for section in [*sections, b""]:
        position = (position + 63) // 64 * 64
        offsets.append(position)
        position += len(section)
    total = offsets[-1] + 4 * len(values)
    fields = {**case, **counts, "value_type": 1}
    header = b"TFPK" + struct.pack("<HHI", 1, 128, total)
    header += struct.pack(f"<{len(MANIFEST_FIELDS) - 1}I", *(fields[name] for name in MANIFEST_FIELDS[1:]))
    blocks_offset = offsets[2] if "blocks" in case else 0
    header += struct.pack("<3I", offsets[0], offsets[1], offsets[-1]) + bytes(20) + struct.pack("<I", blocks_offset)
    header += struct.pack("<I", zlib.crc32(header))
    data = bytearray(total)
    data[:128] = header
    for offset, section in zip(offsets, [*sections, struct.pack(f"<{len(values)}f", *values)], strict=True):
        data[offset : offset + len(section)] = section
    return bytes(data), fields


def group_sections(case: dict) -> tuple[list[bytes], dict, list[float]]:
    """Line ends and columns, the counts, and the values."""
    line_ends, steps, values = [], [], []
    for line, (starts, groups) in enumerate(zip(case["lines"], stored_values(case), strict=True)):
        previous = 0
        for start, group in zip(starts, groups, strict=True):
            while start - previous > 65_535:
                previous += 65_535
                steps.append(65_535)
                values += [0.0] * (len(line_rows(case, line)) * case["group_cols"])
            steps.append(start - previous)
            previous = start
            values += group
        line_ends.append(len(steps))
    sections = [struct.pack(f"<{len(line_ends)}I", *line_ends), struct.pack(f"<{len(steps)}H", *steps)]
    counts = {"line_count": len(line_ends), "group_count": len(steps), "value_count": len(values)}
    return sections, counts, values


def manifest(cases: list[dict]) -> tuple[list[str], dict[str, bytes], dict[str, np.ndarray]]:
    """Lines of the manifest, packed bytes and matrices by name."""
    lines, blobs, matrices = ["# " + " ".join(MANIFEST_FIELDS)], {}, {}
    for case in cases:
        matrices[case["name"]] = dense_matrix(case)
        blobs[case["name"]], fields = packed(case)
        lines.append(" ".join(str(fields[name]) for name in MANIFEST_FIELDS))
    return lines, blobs, matrices


def corruptions(blobs: dict[str, bytes]) -> list[str]:
    """Changes that break one rule each, for some row-band, sliding and fully-connected cases and for blocks."""
    lines = ["# name offset new_bytes_hex fix_checksum rule"]

    def u32(name: str, offset: int, value: int, rule: str, fix: int = 1) -> None:
        lines.append(f"{name} {offset} {struct.pack('<I', value).hex()} {fix} {rule}")

    for name in ("conv_row_band_r4", "conv_sliding_r4", "fc_row_band_r2c4"):
        blob = blobs[name]
        field = dict(zip(("total_bytes", *MANIFEST_FIELDS[1:]), struct.unpack_from("<20I", blob, 8), strict=True))
        ends, columns, _ = struct.unpack_from("<3I", blob, 88)
        u32(name, 0, 0x4B504655, "magic")
        lines += [f"{name} 4 0200 1 version", f"{name} 6 7c00 1 header_bytes"]
        u32(name, 8, field["total_bytes"] + 4, "total_bytes")
        u32(name, 8, field["total_bytes"] - 4, "total_bytes")
        for offset, what in ((12, "op"), (16, "encoding"), (20, "value_type"), (24, "activation"), (28, "padding")):
            u32(name, offset, 7, what)
        u32(name, 24, 2, "activation")
        for index, what in enumerate(MANIFEST_FIELDS[6:14]):
            u32(name, 32 + 4 * index, 0, what)
        for index, what in enumerate(MANIFEST_FIELDS[7:10]):
            u32(name, 36 + 4 * index, 0xFFFFFFFF, what)
        for offset, axis in ((56, "h"), (60, "w")):
            if field[f"kernel_{axis}"] > 1:
                u32(name, offset, 0x7FFFFFFF, f"dilation_{axis}")
        u32(name, 64, 2, "keep_num_dims")
        for offset, what in ((68, "group_rows"), (72, "group_cols")):
            u32(name, offset, 0, what)
            u32(name, offset, 0x7FFFFFFF, what)
        for offset, what in ((76, "line_count"), (80, "group_count"), (84, "value_count")):
            u32(name, offset, field[what] + 1, what)
            u32(name, offset, 0xFFFFFFFF, what)
        for offset, what in ((88, "line_ends_offset"), (92, "columns_offset"), (96, "values_offset")):
            for value in (0, 64, 129, 0xFFFFFFC0):
                u32(name, offset, value, what)
        lines += [f"{name} 100 01 1 reserved", f"{name} 119 80 1 reserved"]
        u32(name, 120, 128, "blocks_offset")
        u32(name, 52, struct.unpack_from("<I", blob, 52)[0] ^ 1, "header_crc32", fix=0)
        u32(name, 124, struct.unpack_from("<I", blob, 124)[0] ^ 1, "header_crc32", fix=0)
        u32(name, ends, field["group_count"] + 1, "line_ends_fall", fix=0)
        u32(name, ends + 4 * (field["line_count"] - 1), field["group_count"] - 1, "last_line_end", fix=0)
        lines.append(f"{name} {columns} ffff 0 start_past_the_end")
        lines.append(f"{name} {columns + 2} 0000 0 start_repeats")
    for name in ("conv_block_rows_r3", "conv_block_columns"):
        lines += block_corruptions(name, blobs[name])
    return lines


def block_corruptions(name: str, blob: bytes) -> list[str]:
    """Changes that break one rule of blocks each."""
    field = dict(zip(MANIFEST_FIELDS[1:], struct.unpack_from("<19I", blob, 12), strict=True))
    ends, columns, values = struct.unpack_from("<3I", blob, 88)
    (at,) = struct.unpack_from("<I", blob, 120)
    (band_rows,) = struct.unpack_from("<I", blob, at)
    lines, groups = field["line_count"], field["group_count"]
    bands = -(-field["out_channels"] // band_rows)
    band_ends, row_ends = at + 4, at + 4 + 4 * bands
    rows = row_ends + 4 * lines
    (visits,) = struct.unpack_from("<I", blob, rows - 4)
    words = [
        (16, 1, 1, "blocks_offset_of_groups"),
        (68, 0, 1, "group_rows"),
        (68, 17, 1, "group_rows"),
        (72, 2, 1, "group_cols"),
        (44, 65_537, 1, "too_many_columns"),
        (76, lines + 1, 1, "line_count"),
        (76, 0, 1, "line_count"),
        (76, 0xFFFFFFFF, 1, "line_count"),
        (80, groups - 1, 1, "group_count"),
        (84, field["value_count"] + 1, 1, "value_count"),
        *((120, offset, 1, "blocks_offset") for offset in (0, 64, columns, at + 4, values, 0xFFFFFFC0)),
        (at, 0, 0, "band_rows"),
        (at, 65, 0, "band_rows"),
        (at, 0xFFFFFFFF, 0, "band_rows"),
        (at, 1, 0, "band_rows_with_more_bands_than_room"),
        (band_ends, lines + 1, 0, "band_ends"),
        (row_ends - 4, lines - 1, 0, "last_band_end"),
        (row_ends, 0, 0, "block_without_rows"),
        (row_ends, visits + 1, 0, "row_ends_fall"),
        (rows - 4, 0xFFFFFFFF, 0, "rows_past_the_section"),
        (ends, 0, 0, "block_without_columns"),
        (ends + 4 * (lines - 1), groups - 1, 0, "last_line_end"),
    ]
    found = [f"{name} {offset} {struct.pack('<I', new).hex()} {fix} {rule}" for offset, new, fix, rule in words]
    found += [f"{name} {rows} {band_rows:02x} 0 row_outside_its_band", f"{name} {rows + 1} 00 0 rows_do_not_rise"]
    found += [f"{name} {columns} ffff 0 column_past_the_end", f"{name} {columns + 2} 0000 0 column_repeats"]
    return found


def main() -> int:
    """Writes every golden file; returns the exit status."""
    lines, blobs, matrices = manifest(json.loads((FOLDER / "cases.json").read_text()))
    for name, blob in blobs.items():
        (FOLDER / f"{name}.bin").write_bytes(blob)
        (FOLDER / f"{name}.f32").write_bytes(matrices[name].tobytes())
    (FOLDER / "manifest.txt").write_text("\n".join(lines) + "\n")
    (FOLDER / "corruptions.txt").write_text("\n".join(corruptions(blobs)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
