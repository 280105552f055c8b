// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/formats/packed_weights.h"

#include <math.h>
#include <string.h>

#include "tflite_ops/formats/bit_list.h"
#include "tflite_ops/formats/block_checks.h"
#include "tflite_ops/formats/columns.h"
#include "tflite_ops/formats/half.h"
#include "tflite_ops/formats/header.h"

namespace tfprune {
namespace {

constexpr size_t kValuesOfTask = 16384;  // that one thread expands at a time

// Where the sections start, in bytes; each ends where the next starts, but for alignment.
struct SectionOffsets {
  uint64_t values, scales, columns, rows, counts, row_counts, band_counts, total;
};

uint64_t ValueBytes(ValueType type) { return type == ValueType::kFloat32 ? 4 : type == ValueType::kFloat16 ? 2 : 1; }

SectionOffsets FindSections(const PackedWeights& w, const Storage& storage) {
  const bool bitmap = storage.column_bytes == 0, integers = w.has_integers();
  SectionOffsets at = {};
  at.values = kHeaderBytes;
  at.scales = at.values + w.value_count * ValueBytes(w.value_type);
  if (integers) at.scales = (at.scales + 3) / 4 * 4;
  at.columns = at.scales + (integers ? uint64_t{w.out_channels} * 4 : 0);
  if (storage.column_bytes == 2) at.columns += at.columns % 2;
  at.rows =
      at.columns + (bitmap ? w.line_count * BitmapBytes(w, storage) : uint64_t{w.group_count} * storage.column_bytes);
  at.counts = at.rows + storage.row_count;
  at.row_counts = at.counts + (bitmap ? 0 : BitListBytes(w.line_count, storage.count_bits));
  at.band_counts = at.row_counts + BitListBytes(w.line_count, storage.row_bits);
  at.total = at.band_counts + BitListBytes(w.band_count, storage.band_bits);
  return at;
}

Status CheckValueCount(const PackedWeights& packed, uint64_t values) {
  if (values == packed.value_count) return {};
  return Error("packed weights: value_count must be %llu, got %u", static_cast<unsigned long long>(values),
               packed.value_count);
}

Status CheckScales(const PackedWeights& packed) {
  for (uint32_t row = 0; packed.scales != nullptr && row < packed.out_channels; ++row) {
    if (!isfinite(packed.scales[row]) || packed.scales[row] <= 0.0f)
      return Error("packed weights: the scale of output channel %u must be finite and above 0", row);
  }
  return {};
}

// Integers of lines that do not end with a whole operand, filled up with weights of zero.
Status FillOperands(const uint8_t* stored, PackedWeights* packed) {
  PackedWeights& w = *packed;
  size_t needed = 0;
  for (uint32_t line = 0; line < w.line_count; ++line) needed += w.DotCellsOfLine(line) * w.RowsOfLine(line);
  w.filled = needed != w.value_count;
  const uint8_t* bytes = stored;
  if (w.filled) {
    if (!w.whole_operands.Reserve(needed)) return Error("packed weights: no memory for %zu weights", needed);
    uint8_t* to = w.whole_operands.data();
    for (uint32_t line = 0; line < w.line_count; ++line) {
      const size_t rows = w.RowsOfLine(line), last = w.CellsOfLine(line) % kDotCells;
      const size_t whole = (w.CellsOfLine(line) - last) * rows;
      memcpy(to, stored, whole);
      to += whole, stored += whole;
      if (last == 0) continue;
      memset(to, w.weight_zero_point, rows * kDotCells);
      for (size_t row = 0; row < rows; ++row, to += kDotCells, stored += last) memcpy(to, stored, last);
    }
    bytes = w.whole_operands.data();
  }
  if (w.value_type == ValueType::kUInt8) {
    w.unsigned_bytes = bytes;
  } else {
    w.bytes = reinterpret_cast<const int8_t*>(bytes);
  }
  return {};
}

Status CheckGroups(const uint8_t* stored_values, PackedWeights* packed) {
  uint64_t values = 0;
  for (uint32_t line = 0; line < packed->line_count; ++line)
    values += uint64_t{packed->CellsOfLine(line)} * packed->RowsOfLine(line);
  TFPRUNE_RETURN_IF_ERROR(CheckValueCount(*packed, values));
  return packed->has_integers() ? FillOperands(stored_values, packed) : Status{};
}

// Points at what is read in place.
void PointAtSections(const uint8_t* bytes, const SectionOffsets& at, const Storage& storage, PackedWeights* packed) {
  const uint8_t *values = bytes + at.values, *columns = bytes + at.columns;
  const ValueType type = packed->value_type;
  packed->values = type == ValueType::kFloat32 ? reinterpret_cast<const float*>(values) : nullptr;
  packed->halves = type == ValueType::kFloat16 ? reinterpret_cast<const uint16_t*>(values) : nullptr;
  packed->bytes = type == ValueType::kInt8 ? reinterpret_cast<const int8_t*>(values) : nullptr;
  packed->unsigned_bytes = type == ValueType::kUInt8 ? values : nullptr;
  packed->scales = packed->has_integers() ? reinterpret_cast<const float*>(bytes + at.scales) : nullptr;
  packed->steps8 = storage.column_bytes == 1 ? columns : nullptr;
  packed->steps16 = storage.column_bytes == 2 ? reinterpret_cast<const uint16_t*>(columns) : nullptr;
  packed->block_rows = bytes + at.rows;
  packed->filled = false;
}

// Makes the ends of lines, and the steps of a bitmap.
Status ReadLines(const uint8_t* bytes, const SectionOffsets& at, const Storage& storage, PackedWeights* packed) {
  const uint32_t bits = storage.count_bits;
  if (storage.column_bytes != 0)
    TFPRUNE_RETURN_IF_ERROR(CheckEqualNumbers("groups of lines", packed->line_count, bits, packed->group_count));
  if (!packed->own_line_ends.Reserve(size_t{packed->line_count} + 1))
    return Error("packed weights: no memory for %u lines", packed->line_count);
  packed->line_ends = packed->own_line_ends.data();
  if (storage.column_bytes == 0) return ReadBitmap(bytes + at.columns, storage, packed);
  return ReadBitList("groups of lines", bytes + at.counts, packed->line_count, bits, packed->group_count,
                     packed->own_line_ends.data());
}

Status ReadBlocks(const uint8_t* bytes, const SectionOffsets& at, const Storage& storage, PackedWeights* packed) {
  PackedWeights& w = *packed;
  TFPRUNE_RETURN_IF_ERROR(CheckEqualNumbers("rows of blocks", w.line_count, storage.row_bits, storage.row_count));
  TFPRUNE_RETURN_IF_ERROR(CheckEqualNumbers("blocks of bands", w.band_count, storage.band_bits, w.line_count));
  if (!w.own_row_ends.Reserve(size_t{w.line_count} + 1) || !w.own_band_ends.Reserve(w.band_count))
    return Error("packed weights: no memory for %u blocks", w.line_count);
  TFPRUNE_RETURN_IF_ERROR(ReadBitList("rows of blocks", bytes + at.row_counts, w.line_count, storage.row_bits,
                                      storage.row_count, w.own_row_ends.data()));
  TFPRUNE_RETURN_IF_ERROR(ReadBitList("blocks of bands", bytes + at.band_counts, w.band_count, storage.band_bits,
                                      w.line_count, w.own_band_ends.data()));
  w.row_ends = w.own_row_ends.data();
  w.band_ends = w.own_band_ends.data();
  uint64_t values = 0;
  TFPRUNE_RETURN_IF_ERROR(CheckBlocks(packed, &values));
  return CheckValueCount(w, values);
}

}  // namespace

Status ReadPackedWeights(const void* data, size_t size, PackedWeights* packed) {
  const uint8_t* bytes = static_cast<const uint8_t*>(data);
  Storage storage;
  TFPRUNE_RETURN_IF_ERROR(ReadHeader(bytes, size, packed, &storage));
  const SectionOffsets at = FindSections(*packed, storage);
  if (at.total != size) {
    return Error("packed weights: the sections must end at total_bytes %zu, they end at %llu", size,
                 static_cast<unsigned long long>(at.total));
  }
  packed->copied = reinterpret_cast<uintptr_t>(bytes) % alignof(float) != 0;
  if (packed->copied) {
    if (!packed->copy.Reserve(size)) return Error("packed weights: no memory for a copy of %zu bytes", size);
    memcpy(packed->copy.data(), bytes, size);
    bytes = packed->copy.data();
  }
  PointAtSections(bytes, at, storage, packed);
  TFPRUNE_RETURN_IF_ERROR(ReadLines(bytes, at, storage, packed));
  TFPRUNE_RETURN_IF_ERROR(CheckColumns(*packed));
  TFPRUNE_RETURN_IF_ERROR(CheckScales(*packed));
  return packed->in_blocks() ? ReadBlocks(bytes, at, storage, packed) : CheckGroups(bytes + at.values, packed);
}

Status ExpandHalves(PackedWeights* packed, ThreadPool* pool, uint32_t threads) {
  if (packed->value_type != ValueType::kFloat16 || packed->values != nullptr) return {};
  const size_t count = packed->value_count;
  if (!packed->expanded.Reserve(count + 1)) return Error("packed weights: no memory for %zu float32 weights", count);
  const auto expand = [](void* context, size_t task, uint32_t) {
    PackedWeights& w = *static_cast<PackedWeights*>(context);
    const size_t begin = task * kValuesOfTask, rest = w.value_count - begin;
    HalvesToFloats(w.halves + begin, rest < kValuesOfTask ? rest : kValuesOfTask, w.expanded.data() + begin);
  };
  const size_t tasks = (count + kValuesOfTask - 1) / kValuesOfTask;
  if (pool != nullptr) {
    pool->Run(threads, tasks, expand, packed);
  } else {
    for (size_t task = 0; task < tasks; ++task) expand(packed, task, 0);
  }
  packed->values = packed->expanded.data();
  return {};
}

}  // namespace tfprune
