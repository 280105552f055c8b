// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/formats/single_rows.h"

#include <string.h>

namespace tfprune {
namespace {

// The weights of one band, row by row.
struct Band {
  AlignedArray<uint8_t> values;  // [band_rows][columns]
  AlignedArray<uint64_t> kept;   // [band_rows][words], a bit for each weight
  size_t columns = 0, words = 0;

  bool Reserve(const PackedWeights& w) {
    columns = w.columns();
    words = (columns + 63) / 64;
    return values.Reserve(w.band_rows * columns) && kept.Reserve(w.band_rows * words);
  }
  // False where there is one already.
  bool Put(size_t row, size_t column, uint8_t value) {
    uint64_t& word = kept[row * words + column / 64];
    const uint64_t bit = uint64_t{1} << column % 64;
    if ((word & bit) != 0) return false;
    word |= bit;
    values[row * columns + column] = value;
    return true;
  }
};

// Puts the blocks of band `number` in; `values` are those of its first block.
bool FillBand(const PackedWeights& w, uint32_t number, const uint8_t* values, Band* band) {
  for (uint32_t i = number == 0 ? 0 : w.band_ends[number - 1]; i < w.band_ends[number]; ++i) {
    const Block block = BlockOf(w, number, i);
    const Chunks chunks(block.row_count, w.group_rows);
    const uint8_t* rows = block.rows;
    for (uint32_t chunk = 0; chunk < chunks.count; rows += chunks.Rows(chunk++)) {
      uint32_t column = 0;
      for (uint32_t c = 0; c < block.column_count; ++c) {
        column += w.Step(block.first_group + c);
        for (uint32_t r = 0; r < chunks.Rows(chunk); ++r) {
          if (!band->Put(rows[r], column, *values++)) return false;
        }
      }
    }
  }
  return true;
}

// Appends a row of a band and forgets it.
void TakeRow(Band* band, size_t row, PackedWeights* rows, size_t* value) {
  uint32_t before = 0;
  uint8_t* to = rows->whole_operands.data() + *value;
  for (size_t word = 0; word < band->words; ++word) {
    uint64_t& bits = band->kept[row * band->words + word];
    for (; bits != 0; bits &= bits - 1) {
      const uint32_t column = static_cast<uint32_t>(word * 64) + static_cast<uint32_t>(__builtin_ctzll(bits));
      rows->expanded16[rows->group_count++] = static_cast<uint16_t>(column - before);
      *to++ = band->values[row * band->columns + column];
      before = column;
    }
  }
  *value = static_cast<size_t>(to - rows->whole_operands.data());
}

}  // namespace

void CopyLayer(const PackedWeights& from, PackedWeights* to) {
  to->op = from.op;
  to->activation = from.activation;
  to->padding = from.padding;
  to->value_type = from.value_type;
  to->out_channels = from.out_channels;
  to->kernel_h = from.kernel_h, to->kernel_w = from.kernel_w, to->in_channels = from.in_channels;
  to->stride_h = from.stride_h, to->stride_w = from.stride_w;
  to->dilation_h = from.dilation_h, to->dilation_w = from.dilation_w;
  to->keep_num_dims = from.keep_num_dims;
  to->activation_type = from.activation_type;
  to->rounding = from.rounding;
  to->weight_zero_point = from.weight_zero_point;
  to->stock_channels = from.stock_channels;
  to->scales = from.scales;
  to->input_scale = from.input_scale, to->output_scale = from.output_scale;
  to->input_zero_point = from.input_zero_point, to->output_zero_point = from.output_zero_point;
}

Status BlocksToSingleRows(const PackedWeights& w, PackedWeights* rows) {
  Band band;
  // Each row is filled up to whole operands.
  const size_t room = size_t{w.value_count} + size_t{w.out_channels} * (kDotCells - 1);
  if (!band.Reserve(w) || !rows->own_line_ends.Reserve(w.out_channels) || !rows->whole_operands.Reserve(room + 1) ||
      !rows->expanded16.Reserve(size_t{w.value_count} + 1)) {
    return Error("packed weights: no memory for %u rows", w.out_channels);
  }
  CopyLayer(w, rows);
  rows->encoding = Encoding::kRowBand;
  rows->group_rows = rows->group_cols = 1;
  rows->line_count = w.out_channels;
  rows->group_count = 0;
  const uint8_t* stored =
      w.value_type == ValueType::kUInt8 ? w.unsigned_bytes : reinterpret_cast<const uint8_t*>(w.bytes);
  size_t value = 0;
  for (uint32_t number = 0; number < w.band_count; ++number) {
    if (!FillBand(w, number, stored + w.band_values[number], &band))
      return Error("packed weights: two blocks of band %u hold the same weight", number);
    for (uint32_t row = number * w.band_rows; row < w.out_channels && row < (number + 1) * w.band_rows; ++row) {
      TakeRow(&band, row - number * w.band_rows, rows, &value);
      rows->own_line_ends[row] = rows->group_count;
      for (; value % kDotCells != 0; ++value) rows->whole_operands[value] = static_cast<uint8_t>(w.weight_zero_point);
    }
  }
  rows->line_ends = rows->own_line_ends.data();
  rows->steps16 = rows->expanded16.data();
  rows->value_count = rows->group_count;
  rows->filled = true;
  rows->bytes = w.value_type == ValueType::kInt8 ? reinterpret_cast<int8_t*>(rows->whole_operands.data()) : nullptr;
  rows->unsigned_bytes = w.value_type == ValueType::kUInt8 ? rows->whole_operands.data() : nullptr;
  return {};
}

}  // namespace tfprune
