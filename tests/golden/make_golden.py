# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files that the tests of both languages read; run it after a deliberate change of the format.

For each line of ``manifest.txt`` there are ``<name>.bin`` (packed weights) and ``<name>.f32`` (the dense matrix, raw
little-endian float32, R * C values; of int8 weights the integers times their scales). The bytes are written here by
loops that follow ``docs/formats.md`` word by word, not by ``tfprune.formats``, so that a mistake in the encoder cannot
hide in its own golden files.

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
            group: list[float] = []
            for column in range(start, start + case["group_cols"]):
                for row in line_rows(case, line):
                    number += 1
                    again = (row, column) in taken and not case.get("add")
                    group.append(0.0 if again else weight(case, number))
                    taken.add((row, column))
            groups.append(group)
        lines.append(groups)
    return lines


def weight(case: dict, number: int) -> float:
    """Small numbers that add up exactly; for int8 whole ones, never zero."""
    if case.get("value_type", 1) == 3:
        return float((number * 37) % 127 + 1) * (-1 if number % 3 else 1)
    return (number % 29 - 14.5) / 8


def scales(case: dict) -> list[float]:
    """Scale of each output channel: 1 for float weights, powers of two for int8."""
    if case.get("value_type", 1) != 3:
        return [1.0] * case["out_channels"]
    return [2.0 ** -(row % 5 + 3) for row in range(case["out_channels"])]


def in_fours(rows: int, cells: list[list[float]]) -> list[float]:
    """Int8 values of a line from its cells (the weights of all rows in one column), four cells together."""
    values = []
    for first in range(0, len(cells), 4):
        four = (cells[first : first + 4] + [[0.0] * rows] * 3)[:4]
        for row in range(rows):
            values += [cell[row] for cell in four]
    return values


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
    return matrix * np.array(scales(case), "<f4")[:, None]


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
    value_type = case.get("value_type", 1)
    packed_values = struct.pack(
        f"<{len(values)}{' feb'[value_type]}", *(map(int, values) if value_type == 3 else values)
    )
    total = offsets[-1] + len(packed_values)
    fields = {**case, **counts, "value_type": value_type}
    header = b"TFPK" + struct.pack("<HHI", 1, 128, total)
    header += struct.pack(f"<{len(MANIFEST_FIELDS) - 1}I", *(fields[name] for name in MANIFEST_FIELDS[1:]))
    header += struct.pack("<3I", offsets[0], offsets[1], offsets[-1])
    header += struct.pack("<fifi", *case.get("activations", (0, 0, 0, 0)))
    header += struct.pack("<2I", offsets[2] if value_type == 3 else 0, offsets[2] if "blocks" in case else 0)
    header += struct.pack("<I", zlib.crc32(header))
    data = bytearray(total)
    data[:128] = header
    for offset, section in zip(offsets, [*sections, packed_values], strict=True):
        data[offset : offset + len(section)] = section
    return bytes(data), fields


def group_sections(case: dict) -> tuple[list[bytes], dict, list[float]]:
    """Line ends, columns and scales, the counts, and the values."""
    line_ends, steps, values = [], [], []
    int8 = case.get("value_type", 1) == 3
    for line, (starts, groups) in enumerate(zip(case["lines"], stored_values(case), strict=True)):
        previous, rows = 0, len(line_rows(case, line))
        line_values: list[float] = []
        for start, group in zip(starts, groups, strict=True):
            while start - previous > 65_535:
                previous += 65_535
                steps.append(65_535)
                line_values += [0.0] * (rows * case["group_cols"])
            steps.append(start - previous)
            previous = start
            line_values += group
        if int8:
            cells = [line_values[first : first + rows] for first in range(0, len(line_values), rows)]
            line_values = in_fours(rows, cells)
        values += line_values
        line_ends.append(len(steps))
    sections = [struct.pack(f"<{len(line_ends)}I", *line_ends), struct.pack(f"<{len(steps)}H", *steps)]
    if int8:
        sections.append(struct.pack(f"<{case['out_channels']}f", *scales(case)))
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
        lines.append(f"{name} 100 01 1 input_scale")
        for offset, what in ((104, "input_zero_point"), (108, "output_scale"), (112, "output_zero_point")):
            u32(name, offset, 1, what)
        u32(name, 116, columns, "scales_offset")
        u32(name, 120, 128, "blocks_offset")
        u32(name, 120, 0x80000000, "blocks_offset")
        u32(name, 52, struct.unpack_from("<I", blob, 52)[0] ^ 1, "header_crc32", fix=0)
        u32(name, 124, struct.unpack_from("<I", blob, 124)[0] ^ 1, "header_crc32", fix=0)
        u32(name, ends, field["group_count"] + 1, "line_ends_fall", fix=0)
        u32(name, ends + 4 * (field["line_count"] - 1), field["group_count"] - 1, "last_line_end", fix=0)
        lines.append(f"{name} {columns} ffff 0 start_past_the_end")
        lines.append(f"{name} {columns + 2} 0000 0 start_repeats")
    for name in ("conv_block_rows_r3", "conv_block_columns"):
        lines += block_corruptions(name, blobs[name])
    return lines + quantized_corruptions(blobs)


def quantized_corruptions(blobs: dict[str, bytes]) -> list[str]:
    """Changes that break a rule of int8 weights, with int8 and with float32 activations, and of float16 weights."""
    lines = []

    def put(name: str, offset: int, data: bytes, rule: str) -> None:
        lines.append(f"{name} {offset} {data.hex()} 1 {rule}")

    name = "conv_int8_r4c4"
    scales_offset = struct.unpack_from("<I", blobs[name], 116)[0]
    for offset, what in ((100, "input_scale"), (108, "output_scale")):
        for number in (0.0, -1.0, float("inf"), float("nan")):
            put(name, offset, struct.pack("<f", number), what)
    for offset, what in ((104, "input_zero_point"), (112, "output_zero_point")):
        for number in (-129, 128, 2**31 - 1):
            put(name, offset, struct.pack("<i", number), what)
    for number in (0, 64, scales_offset + 4, 0xFFFFFFC0):
        put(name, 116, struct.pack("<I", number), "scales_offset")
    for number in (0.0, -1.0, float("inf"), float("nan")):
        put(name, scales_offset + 4, struct.pack("<f", number), "scale")
    for value_type in (1, 2):
        put(name, 20, struct.pack("<I", value_type), "value_type")
    name = "fc_int8_dynamic_r4"
    for offset, what in ((104, "input_zero_point"), (108, "output_scale"), (112, "output_zero_point")):
        put(name, offset, struct.pack("<I", 1), what)
    name = "fc_float16_sliding_r2"
    for value_type in (1, 3):
        put(name, 20, struct.pack("<I", value_type), "value_type")
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
        (20, 2, 1, "value_type_of_blocks"),
        (20, 3, 1, "value_type_of_blocks"),
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
