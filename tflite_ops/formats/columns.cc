// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/formats/columns.h"

#include <string.h>

namespace tfprune {
namespace {

// Writes the steps of all lines; `fits` becomes false where one is too large for its type. Returns the number of bits,
// or where there are more than `group_count`, any number above it.
template <typename Step>
uint64_t ExpandBits(const uint8_t* bitmap, size_t line_bytes, uint32_t unit, const PackedWeights& w, Step* steps,
                    uint32_t* ends, bool* fits) {
  constexpr uint32_t kLargest = static_cast<Step>(~0u);
  uint32_t group = 0;
  for (uint32_t line = 0; line < w.line_count; ++line, bitmap += line_bytes) {
    uint32_t before = 0;
    for (size_t byte = 0; byte < line_bytes; byte += 8) {
      uint64_t bits = 0;
      memcpy(&bits, bitmap + byte, line_bytes - byte < 8 ? line_bytes - byte : 8);
      for (; bits != 0; bits &= bits - 1) {
        if (group == w.group_count) return uint64_t{group} + 1;
        const uint32_t start = (static_cast<uint32_t>(byte) * 8 + static_cast<uint32_t>(__builtin_ctzll(bits))) * unit;
        if (start - before > kLargest) *fits = false;
        steps[group++] = static_cast<Step>(start - before);
        before = start;
      }
    }
    ends[line] = group;
  }
  return group;
}

}  // namespace

Status ReadBitmap(const uint8_t* bitmap, const Storage& storage, PackedWeights* packed) {
  PackedWeights& w = *packed;
  const size_t line_bytes = BitmapBytes(w, storage);
  if (w.group_count > uint64_t{w.line_count} * line_bytes * 8)
    return Error("packed weights: a bitmap of %u lines has no room for %u groups", w.line_count, w.group_count);
  if (!w.expanded8.Reserve(size_t{w.group_count} + 1))
    return Error("packed weights: no memory for %u groups", w.group_count);
  bool fits = true;
  uint64_t found =
      ExpandBits(bitmap, line_bytes, storage.column_unit, w, w.expanded8.data(), w.own_line_ends.data(), &fits);
  w.steps8 = w.expanded8.data();
  if (found == w.group_count && !fits) {
    if (!w.expanded16.Reserve(w.group_count)) return Error("packed weights: no memory for %u groups", w.group_count);
    fits = true;
    found = ExpandBits(bitmap, line_bytes, storage.column_unit, w, w.expanded16.data(), w.own_line_ends.data(), &fits);
    w.steps8 = nullptr;
    w.steps16 = w.expanded16.data();
  }
  // Bits behind the last column may be as far away as seven units.
  if (found == w.group_count && fits) return {};
  return Error("packed weights: the bitmap must have group_count %u bits, none behind the columns", w.group_count);
}

Status CheckColumns(const PackedWeights& packed) {
  uint32_t before = 0;
  for (uint32_t line = 0; line < packed.line_count; ++line) {
    uint64_t column = 0;
    for (uint32_t group = before; group < packed.line_ends[line]; ++group) {
      const uint32_t step = packed.Step(group);
      if (step == 0 && group != before) return Error("packed weights: columns of line %u must rise strictly", line);
      column += step;
      if (column + packed.group_cols > packed.columns()) {
        return Error("packed weights: group %u of line %u reaches over column %u", group, line, packed.columns());
      }
    }
    before = packed.line_ends[line];
  }
  return {};
}

}  // namespace tfprune
