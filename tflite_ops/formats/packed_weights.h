// SPDX-License-Identifier: Apache-2.0
// Reader of packed weights, version 2. The format is specified in docs/formats.md; tfprune/formats is its twin.
#ifndef TFPRUNE_FORMATS_PACKED_WEIGHTS_H_
#define TFPRUNE_FORMATS_PACKED_WEIGHTS_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/base/thread_pool.h"

namespace tfprune {

enum class Op : uint32_t { kConv2D = 1, kFullyConnected = 2 };
enum class Encoding : uint32_t { kRowBand = 1, kSlidingRow = 2, kBlockRows = 3, kBlockColumns = 4 };
enum class ValueType : uint32_t { kFloat32 = 1, kFloat16 = 2, kInt8 = 3, kUInt8 = 4 };
enum class ActivationType : uint32_t { kFloat32 = 0, kInt8 = 1, kUInt8 = 2, kInt16 = 3 };
// kBuiltin: LiteRT's builtin matrix product, and all its kernels of int16; the other two: its other builtin kernels of
// eight bits.
enum class Rounding : uint32_t { kNone = 0, kXnnpack = 1, kBuiltin = 2, kBuiltinChannels = 3, kBuiltinAway = 4 };
enum class Activation : uint32_t { kNone = 0, kRelu = 1, kReluN1To1 = 2, kRelu6 = 3 };  // TFLite's numbers
enum class Padding : uint32_t { kSame = 0, kValid = 1 };                                // TFLite's numbers

// Least and largest result of a layer; infinities where there is no bound.
inline void ActivationBounds(Activation activation, float* low, float* high) {
  const float infinity = __builtin_inff();
  const bool one = activation == Activation::kReluN1To1;
  *low = activation == Activation::kNone ? -infinity : one ? -1.0f : 0.0f;
  *high = activation == Activation::kRelu6 ? 6.0f : one ? 1.0f : infinity;
}

// Whether each output position of a window reads one input position, its own. Products of the sizes could wrap round.
template <typename Window>
bool IsPointwise(const Window& w) {
  return w.kernel_h == 1 && w.kernel_w == 1 && w.stride_h == 1 && w.stride_w == 1;
}

constexpr bool InBlocks(Encoding encoding) {
  return encoding == Encoding::kBlockRows || encoding == Encoding::kBlockColumns;
}

constexpr uint32_t kMaxSlidingRows = 16;
constexpr uint32_t kDotCells = 4;         // cells of a line that integer weights keep together
constexpr uint32_t kMaxBlockRows = 16;    // rows of a chunk
constexpr uint32_t kMaxBlockColumns = 4;  // columns of a block of block-columns
constexpr uint32_t kMaxBandRows = 64;     // rows of a band of blocks

// A checked view of one packed tensor. Values and steps are read where they lie in the tensor, or in the view's own
// copy where the tensor's address would leave a section misaligned. What the file holds in a smaller form is made anew:
// ends of lines, steps of a bitmap, and integer weights whose lines do not end with a whole operand.
struct PackedWeights {
  Op op = Op::kConv2D;
  Encoding encoding = Encoding::kRowBand;
  Activation activation = Activation::kNone;
  Padding padding = Padding::kValid;
  ValueType value_type = ValueType::kFloat32;
  uint32_t out_channels = 0;
  uint32_t kernel_h = 0, kernel_w = 0, in_channels = 0;
  uint32_t stride_h = 0, stride_w = 0;
  uint32_t dilation_h = 0, dilation_w = 0;
  bool keep_num_dims = false;
  uint32_t group_rows = 0, group_cols = 0;
  uint32_t line_count = 0, group_count = 0, value_count = 0;
  const uint32_t* line_ends = nullptr;  // [line_count], cumulative number of groups
  // Start columns as steps from the group before; [group_count] of one of the two, the other is null.
  const uint8_t* steps8 = nullptr;
  const uint16_t* steps16 = nullptr;
  const float* values = nullptr;     // [value_count] of kFloat32 and after ExpandHalves, else null
  const uint16_t* halves = nullptr;  // [value_count] of kFloat16, else null
  // Of kInt8 and kUInt8, else null. Lines of groups are filled up to whole operands, see DotCellsOfLine; blocks are as
  // stored.
  const int8_t* bytes = nullptr;
  const uint8_t* unsigned_bytes = nullptr;
  // The rest up to the blocks is for integer weights. kFloat32 activations are quantised at run time.
  ActivationType activation_type = ActivationType::kFloat32;
  Rounding rounding = Rounding::kNone;
  uint32_t stock_channels = 0;    // of kBuiltinChannels: row r is output channel r % stock_channels of the stock op
  int32_t weight_zero_point = 0;  // what weights that are not stored are
  const float* scales = nullptr;  // [out_channels]
  float input_scale = 0, output_scale = 0;
  int32_t input_zero_point = 0, output_zero_point = 0;
  // Of the encodings in blocks only: their bands, and the rows of each block. A line is a block there.
  uint32_t band_rows = 0, band_count = 0;
  const uint32_t* band_ends = nullptr;  // [band_count], cumulative number of blocks
  const uint32_t* row_ends = nullptr;   // [line_count], cumulative number of rows of blocks
  const uint8_t* block_rows = nullptr;  // [row_ends[line_count - 1]], counted from the first row of the band
  AlignedArray<uint32_t> band_values;   // [band_count + 1], where the values of each band begin; not in the file

  bool in_blocks() const { return InBlocks(encoding); }
  // Rows are handed to threads in whole units: lines, or bands of blocks. Units before and with `unit` hold
  // UnitEnd(unit) groups (values of blocks).
  uint32_t unit_count() const { return in_blocks() ? band_count : line_count; }
  uint32_t UnitEnd(uint32_t unit) const { return in_blocks() ? band_values[unit + 1] : line_ends[unit]; }
  uint32_t UnitRow(uint32_t unit) const { return in_blocks() ? unit * band_rows : FirstRow(unit); }

  bool has_integers() const { return value_type == ValueType::kInt8 || value_type == ValueType::kUInt8; }
  uint32_t Step(size_t group) const { return steps8 != nullptr ? steps8[group] : steps16[group]; }
  uint32_t columns() const { return kernel_h * kernel_w * in_channels; }
  // For row-band and sliding-row.
  uint32_t FirstRow(uint32_t line) const { return encoding == Encoding::kRowBand ? line * group_rows : line; }
  uint32_t RowsOfLine(uint32_t line) const {
    const uint32_t rest = out_channels - FirstRow(line);
    return rest < group_rows ? rest : group_rows;
  }
  uint32_t FirstGroup(uint32_t line) const { return line == 0 ? 0 : line_ends[line - 1]; }
  size_t FirstCell(uint32_t line) const { return size_t{FirstGroup(line)} * group_cols; }
  size_t CellsOfLine(uint32_t line) const { return size_t{line_ends[line] - FirstGroup(line)} * group_cols; }
  // Cells of a line of integer weights: filled up with zero weights to whole dot-product operands.
  size_t DotCellsOfLine(uint32_t line) const { return (CellsOfLine(line) + kDotCells - 1) / kDotCells * kDotCells; }
  // Of what was made from the values of the tensor: the copy, whole operands, and floats after ExpandHalves.
  size_t repacked_bytes() const {
    return (copied ? copy.capacity() : 0) + (filled ? whole_operands.capacity() : 0) +
           (expanded.data() != nullptr ? value_count * sizeof(float) : 0);
  }
  // Of steps that were made from a bitmap.
  size_t step_bytes() const { return expanded8.capacity() + expanded16.capacity() * sizeof(uint16_t); }
  bool HasInt8Activations() const { return activation_type == ActivationType::kInt8; }

  bool copied = false;
  AlignedArray<uint8_t> copy;  // owns the bytes where the tensor was misaligned
  bool filled = false;
  AlignedArray<uint8_t> whole_operands;  // owns integers whose lines had to be filled up
  AlignedArray<float> expanded;          // owns the values after ExpandHalves
  AlignedArray<uint8_t> expanded8;       // own the steps of a bitmap
  AlignedArray<uint16_t> expanded16;
  AlignedArray<uint32_t> own_line_ends, own_row_ends, own_band_ends;
};

// Checks every rule of docs/formats.md on `size` bytes at `bytes` and fills `packed`. The bytes must outlive it. No
// byte outside the tensor is read, whatever it holds; a broken rule is named in the Status.
Status ReadPackedWeights(const void* bytes, size_t size, PackedWeights* packed);

// The same for the header alone: sizes and options are checked and filled in, sections are not.
Status ReadPackedHeader(const void* bytes, size_t size, PackedWeights* packed);

// Gives kFloat16 weights `values`: float32 kernels then run them. Does nothing for other types, nor a second time.
// `pool` may be null.
Status ExpandHalves(PackedWeights* packed, ThreadPool* pool, uint32_t threads);

// Calls `visit(line, group, start_column)` for every stored group in order.
template <typename Visit>
void ForEachGroup(const PackedWeights& packed, Visit visit) {
  uint32_t group = 0;
  for (uint32_t line = 0; line < packed.line_count; ++line) {
    uint32_t column = 0;
    for (; group < packed.line_ends[line]; ++group) {
      column += packed.Step(group);
      visit(line, group, column);
    }
  }
}

// Calls `visit(line, column, index, step)` for every column of every group in order: the weight of slot s is `index + s
// * step` in `values` or `bytes`.
template <typename Visit>
void ForEachCell(const PackedWeights& packed, Visit visit) {
  const bool dots = packed.has_integers();
  size_t line_value = 0;
  uint32_t last_line = 0;
  ForEachGroup(packed, [&](uint32_t line, uint32_t group, uint32_t start) {
    for (; last_line < line; ++last_line) {
      const size_t cells = dots ? packed.DotCellsOfLine(last_line) : packed.CellsOfLine(last_line);
      line_value += cells * packed.RowsOfLine(last_line);
    }
    const uint32_t rows = packed.RowsOfLine(line);
    const size_t first_cell = size_t{group - packed.FirstGroup(line)} * packed.group_cols;
    for (uint32_t i = 0; i < packed.group_cols; ++i) {
      const size_t cell = first_cell + i;
      const size_t place = dots ? cell / kDotCells * rows * kDotCells + cell % kDotCells : cell * rows;
      visit(line, start + i, line_value + place, dots ? kDotCells : 1);
    }
  });
}

// One block: `row_count` rows (counted from `first_row`) times the groups [first_group, first_group + column_count).
struct Block {
  uint32_t first_row;  // of the band
  const uint8_t* rows;
  uint32_t row_count, first_group, column_count;
};

inline Block BlockOf(const PackedWeights& packed, uint32_t band, uint32_t block) {
  const uint32_t row = block == 0 ? 0 : packed.row_ends[block - 1];
  const uint32_t group = block == 0 ? 0 : packed.line_ends[block - 1];
  return {band * packed.band_rows, packed.block_rows + row, packed.row_ends[block] - row, group,
          packed.line_ends[block] - group};
}

// Sizes of the chunks that `rows` rows are cut into: the first `longer` have `rows_of_chunk + 1` rows.
struct Chunks {
  uint32_t count, rows_of_chunk, longer;

  Chunks(uint32_t rows, uint32_t most)
      : count((rows + most - 1) / most), rows_of_chunk(rows / count), longer(rows % count) {}
  uint32_t Rows(uint32_t chunk) const { return rows_of_chunk + (chunk < longer ? 1 : 0); }
};

// Calls `visit(row, column, index)` for every stored weight of blocks, as ForEachWeight does for groups.
template <typename Visit>
void ForEachBlockWeight(const PackedWeights& packed, Visit visit) {
  size_t index = 0;
  for (uint32_t band = 0; band < packed.band_count; ++band) {
    for (uint32_t i = band == 0 ? 0 : packed.band_ends[band - 1]; i < packed.band_ends[band]; ++i) {
      const Block block = BlockOf(packed, band, i);
      const Chunks chunks(block.row_count, packed.group_rows);
      const uint8_t* rows = block.rows;
      for (uint32_t chunk = 0; chunk < chunks.count; rows += chunks.Rows(chunk++)) {
        uint32_t column = 0;
        for (uint32_t c = 0; c < block.column_count; ++c) {
          column += packed.Step(block.first_group + c);
          for (uint32_t r = 0; r < chunks.Rows(chunk); ++r) visit(block.first_row + rows[r], column, index++);
        }
      }
    }
  }
}

// Calls `visit(row, column, index)` for every stored weight; `index` counts in `values` or `bytes`.
template <typename Visit>
void ForEachWeight(const PackedWeights& packed, Visit visit) {
  if (packed.in_blocks()) {
    ForEachBlockWeight(packed, visit);
    return;
  }
  ForEachCell(packed, [&](uint32_t line, uint32_t column, size_t index, size_t step) {
    const uint32_t first = packed.FirstRow(line), rows = packed.RowsOfLine(line);
    for (uint32_t slot = 0; slot < rows; ++slot) {
      // In a sliding-row group, slot s holds the row whose number is s modulo the group's rows.
      const uint32_t row =
          packed.encoding == Encoding::kRowBand ? first + slot : first + (slot + rows - first % rows) % rows;
      visit(row, column, index + slot * step);
    }
  });
}

}  // namespace tfprune

#endif  // TFPRUNE_FORMATS_PACKED_WEIGHTS_H_
