# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files that the tests of both languages read; run it after a deliberate change of the format.

For each line of ``manifest.txt`` there are ``<name>.bin`` (packed weights) and ``<name>.f32`` (the dense matrix, raw
little-endian float32, R * C values; of integer weights the integers less their zero point times their scales). The
bytes are written here by loops that follow ``docs/formats.md`` word by word, not by ``tfprune.formats``, so that a
mistake in the encoder cannot hide in its own golden files.

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
# Fields of the header in their order, with their struct codes; the manifest has those that are no sizes of sections.
FIELDS = {
    "op": "B",
    "encoding": "B",
    "value_type": "B",
    "activation": "B",
    "padding": "B",
    "keep_num_dims": "B",
    "activation_type": "B",
    "rounding": "B",
    "weight_zero_point": "B",
    "column_bytes": "B",
    "count_bits": "B",
    "band_rows": "B",
    "row_bits": "B",
    "band_bits": "B",
    "reserved": "H",
    "out_channels": "I",
    "kernel_h": "I",
    "kernel_w": "I",
    "in_channels": "I",
    "stride_h": "I",
    "stride_w": "I",
    "dilation_h": "I",
    "dilation_w": "I",
    "group_rows": "I",
    "group_cols": "I",
    "line_count": "I",
    "group_count": "I",
    "value_count": "I",
    "column_unit": "I",
    "row_count": "I",
}
STORAGE = {"column_bytes", "count_bits", "row_bits", "band_bits", "reserved", "column_unit", "row_count"}
MANIFEST_FIELDS = ["name", *(name for name in FIELDS if name not in STORAGE), "stock_channels"]
OFFSETS = dict(zip(FIELDS, [*range(12, 27), *range(28, 88, 4)], strict=True))
INPUT_SCALE, INPUT_ZERO_POINT, OUTPUT_SCALE, OUTPUT_ZERO_POINT, STOCK_CHANNELS, RESERVED = 88, 92, 96, 100, 104, 108
INTEGERS = (3, 4)


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
                        found.append((row, column, weight(case, len(found))))
                rows = rows[size:]
    return found


def block_matrix(case: dict) -> np.ndarray:
    """The matrix of a case with blocks."""
    matrix = np.zeros((case["out_channels"], case["kernel_h"] * case["kernel_w"] * case["in_channels"]), "<f4")
    for row, column, value in block_values(case):
        matrix[row, column] += value
    return matrix * np.array(scales(case), "<f4")[:, None]


def block_sections(case: dict) -> tuple[list[list[int]], dict[str, list[int]]]:
    """Columns of each block, and the lists of rows and of numbers of columns, rows and blocks."""
    blocks = [block for band in case["blocks"] for block in band]
    lists = {
        "rows": [row for block in blocks for row in block["rows"]],
        "row_counts": [len(block["rows"]) for block in blocks],
        "band_counts": [len(band) for band in case["blocks"]],
    }
    return [block["columns"] for block in blocks], lists


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
    """Small numbers that add up exactly; whole ones, never zero, for integers (less their zero point)."""
    value_type = case.get("value_type", 1)
    if value_type == 4:
        zero = case["weight_zero_point"]
        return float((number * 37) % zero + 1) * -1 if number % 3 else float((number * 37) % (255 - zero) + 1)
    if value_type == 3:
        most = 127 - abs(case.get("weight_zero_point", 0))
        return float((number * 37) % most + 1) * (-1 if number % 3 else 1)
    return (number % 29 - 14.5) / 8


def scales(case: dict) -> list[float]:
    """Scale of each output channel: 1 for float weights, powers of two for integers."""
    if case.get("value_type", 1) not in INTEGERS:
        return [1.0] * case["out_channels"]
    return [2.0 ** -(row % 5 + 3) for row in range(case["out_channels"])]


def in_fours(rows: int, cells: list[list[float]]) -> list[float]:
    """Integer values of a line from its cells (the weights of all rows in one column), four cells together."""
    values = []
    for first in range(0, len(cells), 4):
        for row in range(rows):
            values += [cell[row] for cell in cells[first : first + 4]]
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
    """The packed bytes, and the fields of the header: in the form that is asked for, or the smallest one."""
    if "column_bytes" in case:
        return in_form(case, case["column_bytes"], case.get("column_unit", 1))
    forms = [(1, 1), (2, 1)]
    if "blocks" in case:
        columns = block_sections(case)[0]
        steps = [end - start for line in columns for start, end in zip([0, *line], line, strict=False)]
        forms = [(1 if max(steps, default=0) < 256 else 2, 1)]
    elif case["kernel_h"] * case["kernel_w"] * case["in_channels"] <= 65_536:
        whole = all(start % case["group_cols"] == 0 for starts in case["lines"] for start in starts)
        forms.append((0, case["group_cols"] if whole else 1))
    return min((in_form(case, *form) for form in forms), key=lambda found: len(found[0]))


def in_form(case: dict, column_bytes: int, column_unit: int) -> tuple[bytes, dict]:
    """The packed bytes with columns as steps of so many bytes, or as bits of so many columns."""
    if "blocks" in case:
        columns, lists = block_sections(case)
        values = [value for _, _, value in block_values(case)]
    else:
        (columns, values), lists = group_sections(case, {0: 2**31, 1: 255, 2: 65_535}[column_bytes]), {}
    lists["counts"] = [len(line) for line in columns]
    value_type = case.get("value_type", 1)
    fields = dict.fromkeys([*FIELDS, "stock_channels"], 0) | case | {"value_type": value_type}
    fields |= {"column_bytes": column_bytes, "column_unit": column_unit, "value_count": len(values)}
    fields |= {"line_count": len(columns), "group_count": sum(lists["counts"]), "row_count": len(lists.get("rows", []))}
    fields |= {bits: list_bits(lists[name]) for bits, name in list_names(case, column_bytes).items()}
    data = bytes(128)
    if value_type in INTEGERS:
        values = [int(value) + fields["weight_zero_point"] for value in values]
    data += struct.pack(f"<{len(values)}{' febB'[value_type]}", *values)
    if value_type in INTEGERS:
        data += bytes(-len(data) % 4) + struct.pack(f"<{case['out_channels']}f", *scales(case))
    data += bytes(len(data) % max(1, column_bytes)) + column_section(case, columns, column_bytes, column_unit)
    data += bytes(lists.get("rows", []))
    for bits, name in list_names(case, column_bytes).items():
        data += in_bits(lists[name], fields[bits])
    header = b"TFPK" + struct.pack("<HHI", 2, 128, len(data))
    # One byte, whose sign is that of the weights' type.
    stored = fields | {"weight_zero_point": fields["weight_zero_point"] % 256}
    header += struct.pack("<" + "".join(FIELDS.values()), *(stored[name] for name in FIELDS))
    header += struct.pack("<fifi", *case.get("activations", (0, 0, 0, 0)))
    header += struct.pack("<I", fields["stock_channels"]) + bytes(16)
    return header + struct.pack("<I", zlib.crc32(header)) + data[128:], fields


def list_names(case: dict, column_bytes: int) -> dict[str, str]:
    """Header fields and names of the lists of numbers of a few bits, in the order of their sections."""
    names = {"count_bits": "counts"} if column_bytes else {}
    return names | ({"row_bits": "row_counts", "band_bits": "band_counts"} if "blocks" in case else {})


def list_bits(numbers: list[int]) -> int:
    """Bits of each number of a list: none where all are the same and not 0."""
    if numbers and set(numbers) == {numbers[0]} and numbers[0] > 0:
        return 0
    return max(1, max(numbers, default=0).bit_length())


def in_bits(numbers: list[int], bits: int) -> bytes:
    """Numbers of so many bits each, lowest first."""
    flat = sum(number << bits * index for index, number in enumerate(numbers))
    return flat.to_bytes((len(numbers) * bits + 7) // 8, "little") if bits else b""


def column_section(case: dict, columns: list[list[int]], column_bytes: int, column_unit: int) -> bytes:
    """Columns of all lines as steps, or a bitmap a line."""
    if column_bytes:
        steps = [end - start for line in columns for start, end in zip([0, *line], line, strict=False)]
        return b"".join(step.to_bytes(column_bytes, "little") for step in steps)
    bits = -(-case["kernel_h"] * case["kernel_w"] * case["in_channels"] // column_unit)
    maps = [sum(1 << start // column_unit for start in line) for line in columns]
    return b"".join(bitmap.to_bytes((bits + 7) // 8, "little") for bitmap in maps)


def group_sections(case: dict, most: int) -> tuple[list[list[int]], list[float]]:
    """Start columns of each line with fillers where a step would be above ``most``, and the values."""
    columns, values = [], []
    for line, (starts, groups) in enumerate(zip(case["lines"], stored_values(case), strict=True)):
        previous, rows = 0, len(line_rows(case, line))
        line_columns: list[int] = []
        line_values: list[float] = []
        for start, group in zip(starts, groups, strict=True):
            while start - previous > most:
                previous += most
                line_columns.append(previous)
                line_values += [0.0] * (rows * case["group_cols"])
            line_columns.append(start)
            previous = start
            line_values += group
        if case.get("value_type", 1) in INTEGERS:
            cells = [line_values[first : first + rows] for first in range(0, len(line_values), rows)]
            line_values = in_fours(rows, cells)
        values += line_values
        columns.append(line_columns)
    return columns, values


def manifest(cases: list[dict]) -> tuple[list[str], dict[str, bytes], dict[str, np.ndarray]]:
    """Lines of the manifest, packed bytes and matrices by name."""
    lines, blobs, matrices = ["# " + " ".join(MANIFEST_FIELDS)], {}, {}
    for case in cases:
        matrices[case["name"]] = dense_matrix(case)
        blobs[case["name"]], fields = packed(case)
        lines.append(" ".join(str(fields[name]) for name in MANIFEST_FIELDS))
    return lines, blobs, matrices


class Corruptions:
    """Lines of the list: changes of one golden file."""

    def __init__(self, name: str, blob: bytes) -> None:
        self.name, self.blob, self.lines = name, blob, []

    def __getitem__(self, field: str) -> int:
        return int(struct.unpack_from("<" + FIELDS[field], self.blob, OFFSETS[field])[0])

    def put(self, offset: int, new: bytes, rule: str, fix: int = 1) -> None:
        """Other bytes at an offset."""
        self.lines.append(f"{self.name} {offset} {new.hex()} {fix} {rule}")

    def set(self, field: str, *values: int) -> None:
        """Other values of a field."""
        for value in values:
            self.put(OFFSETS[field], struct.pack("<" + FIELDS[field], value), field)

    @property
    def sections(self) -> dict[str, int]:
        """Offset of columns, rows, and lists."""
        at = 128 + self["value_count"] * {1: 4, 2: 2, 3: 1, 4: 1}[self["value_type"]]
        found = {"scales": -(-at // 4) * 4}
        at = found["scales"] + 4 * self["out_channels"] if self["value_type"] in INTEGERS else at
        found["columns"] = at + at % max(1, self["column_bytes"])
        bits = -(-self["kernel_h"] * self["kernel_w"] * self["in_channels"] // max(1, self["column_unit"]))
        size = self["group_count"] * self["column_bytes"] or self["line_count"] * -(-bits // 8)
        found["rows"] = found["columns"] + size
        found["counts"] = found["rows"] + self["row_count"]
        counts = 0 if not self["column_bytes"] else -(-self["line_count"] * self["count_bits"] // 8)
        found["row_counts"] = found["counts"] + counts
        found["band_counts"] = found["row_counts"] + -(-self["line_count"] * self["row_bits"] // 8)
        return found


def corruptions(blobs: dict[str, bytes]) -> list[str]:
    """Changes that break one rule each."""
    lines = ["# name offset new_bytes_hex fix_checksum rule"]
    for name in ("conv_row_band_r4", "conv_sliding_r4", "fc_row_band_r2c4", "fc_steps_of_two_bytes", "fc_bitmap"):
        lines += header_corruptions(Corruptions(name, blobs[name]))
    for name in ("conv_row_band_r4_steps", "fc_steps_of_two_bytes", "fc_bitmap"):
        lines += column_corruptions(Corruptions(name, blobs[name]))
    for name in ("conv_block_rows_r3", "conv_block_columns", "fc_int8_block_rows"):
        lines += block_corruptions(Corruptions(name, blobs[name]))
    return lines + quantized_corruptions(blobs)


def header_corruptions(of: Corruptions) -> list[str]:
    """Changes of the header of groups."""
    of.put(0, b"KPFT", "magic")
    for version in (0, 1, 3):
        of.put(4, struct.pack("<H", version), "version")
    of.put(6, b"\x7c\0", "header_bytes")
    for total in (len(of.blob) + 4, len(of.blob) - 4):
        of.put(8, struct.pack("<I", total), "total_bytes")
    for field in ("op", "encoding", "value_type", "activation", "padding", "activation_type", "rounding"):
        of.set(field, 7)
    of.set("op", 0)
    of.set("encoding", 0, 3)
    of.set("value_type", 0, 3, 4)
    of.set("activation_type", 1, 2, 3)
    of.set("rounding", 1, 2)
    of.set("weight_zero_point", 1, 255)
    of.set("keep_num_dims", 2)
    of.set("column_bytes", 3, 4)
    for field in ("band_rows", "row_bits", "band_bits", "row_count", "reserved"):
        of.set(field, 1)
    for field in list(FIELDS)[15:25]:
        of.set(field, 0)
    of.set("kernel_h", 0xFFFFFFFF)
    of.set("kernel_w", 0xFFFFFFFF)
    of.set("in_channels", 0xFFFFFFFF)
    of.set("out_channels", 0x80000000)
    for axis in "hw":
        if of[f"kernel_{axis}"] > 1:
            of.set(f"dilation_{axis}", 0x7FFFFFFF)
    of.set("group_rows", 0x7FFFFFFF)
    of.set("group_cols", 0x7FFFFFFF)
    for field in ("line_count", "group_count", "value_count"):
        of.set(field, of[field] + 1, 0xFFFFFFFF)
    of.set("column_unit", 0, 3, 0xFFFFFFFF)
    of.set("count_bits", of["count_bits"] + 9, 33, 255)
    for offset in (
        INPUT_SCALE,
        INPUT_ZERO_POINT,
        OUTPUT_SCALE,
        OUTPUT_ZERO_POINT,
        STOCK_CHANNELS,
        RESERVED,
        RESERVED + 15,
    ):
        of.put(offset, b"\1", "zero_of_floats" if offset < RESERVED else "reserved")
    of.put(OFFSETS["stride_w"], struct.pack("<I", of["stride_w"] ^ 1), "header_crc32", 0)
    (checksum,) = struct.unpack_from("<I", of.blob, 124)
    of.put(124, struct.pack("<I", checksum ^ 1), "header_crc32", 0)
    return of.lines


def column_corruptions(of: Corruptions) -> list[str]:
    """Changes of columns and counts."""
    at = of.sections
    if not of["column_bytes"]:
        (first,) = of.blob[at["columns"] : at["columns"] + 1]
        of.put(at["columns"], bytes([first & first - 1]), "a_bit_less", 0)
        of.put(at["columns"], bytes([first | 0x02]), "a_bit_more", 0)
        of.put(at["rows"] - 1, b"\x80", "bit_behind_the_columns", 0)
        return of.lines
    of.put(at["columns"], b"\xff" * of["column_bytes"], "start_past_the_end", 0)
    of.put(at["columns"] + of["column_bytes"], bytes(of["column_bytes"]), "start_repeats", 0)
    (first,) = of.blob[at["counts"] : at["counts"] + 1]
    for new in (first ^ 1, first ^ 2, 255):
        of.put(at["counts"], bytes([new]), "sum_of_counts", 0)
    of.set("count_bits", 0)
    return of.lines


def quantized_corruptions(blobs: dict[str, bytes]) -> list[str]:
    """Changes that break a rule of integer weights with activations of each type, and of float16 weights."""
    lines = []
    wrong = (0.0, -1.0, float("inf"), float("nan"))
    points = {"conv_int8_r4c4": (-129, 128), "fc_uint8_r4": (-1, 256), "conv_int16_sliding_r4": (-1, 1)}
    for name, outside in points.items():
        of = Corruptions(name, blobs[name])
        for number in wrong:
            of.put(INPUT_SCALE, struct.pack("<f", number), "input_scale")
            of.put(OUTPUT_SCALE, struct.pack("<f", number), "output_scale")
            of.put(of.sections["scales"] + 4, struct.pack("<f", number), "scale")
        for point in (*outside, 2**31 - 1):
            of.put(INPUT_ZERO_POINT, struct.pack("<i", point), "input_zero_point")
            of.put(OUTPUT_ZERO_POINT, struct.pack("<i", point), "output_zero_point")
        of.set("value_type", 1, 2, 3 if of["value_type"] == 4 else 4)
        of.set("rounding", 0, 3, 5)
        of.put(STOCK_CHANNELS, struct.pack("<I", of["out_channels"]), "stock_channels")
        of.set("activation_type", 0, 4)
        if of["value_type"] == 3:
            of.set("weight_zero_point", 3)
        lines += of.lines
    of = Corruptions("conv_int16_sliding_r4", blobs["conv_int16_sliding_r4"])
    of.set("rounding", 4)
    lines += of.lines
    of = Corruptions("conv_int8_channels", blobs["conv_int8_channels"])
    for channels in (0, 4, 12, 0xFFFFFFFF):
        of.put(STOCK_CHANNELS, struct.pack("<I", channels), "stock_channels")
    of.set("rounding", 1, 2, 4)
    lines += of.lines
    of = Corruptions("fc_int8_dynamic_r4", blobs["fc_int8_dynamic_r4"])
    for offset in (INPUT_ZERO_POINT, OUTPUT_SCALE, OUTPUT_ZERO_POINT):
        of.put(offset, struct.pack("<I", 1), "zero_of_floats")
    of.set("rounding", 1)
    of.set("activation_type", 1)
    lines += of.lines
    of = Corruptions("fc_float16_sliding_r2", blobs["fc_float16_sliding_r2"])
    of.set("value_type", 1, 3)
    return lines + of.lines


def block_corruptions(of: Corruptions) -> list[str]:
    """Changes that break one rule of blocks each."""
    at, lines = of.sections, of["line_count"]
    of.set("encoding", 1, 2)
    of.set("group_rows", 0, 17)
    of.set("group_cols", 2)
    of.set("in_channels", 65_537)
    of.set("line_count", lines + 1, 0, 0xFFFFFFFF)
    of.set("group_count", of["group_count"] - 1)
    of.set("value_count", of["value_count"] + 1)
    of.set("row_count", of["row_count"] + 1, of["row_count"] - 1, 0xFFFFFFFF)
    of.set("column_bytes", 0)
    of.set("column_unit", 2)
    of.set("band_rows", 0, 65, 255, 1)
    of.set("row_bits", 33)
    of.set("band_bits", 33, of["band_bits"] + 9)
    of.put(at["rows"], bytes([of["band_rows"]]), "row_outside_its_band", 0)
    of.put(at["rows"] + 1, b"\0", "rows_do_not_rise", 0)
    of.put(at["columns"], b"\xff" * of["column_bytes"], "column_past_the_end", 0)
    of.put(at["columns"] + of["column_bytes"], bytes(of["column_bytes"]), "column_repeats", 0)
    for section, rule in (("counts", "columns_of_blocks"), ("row_counts", "rows_of_blocks")):
        (first,) = of.blob[at[section] : at[section] + 1]
        of.put(at[section], bytes([first ^ 1]), rule, 0)
        of.put(at[section], b"\0", rule, 0)
    if of["band_bits"]:
        of.put(at["band_counts"], b"\xff", "blocks_of_bands", 0)
    return of.lines


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
