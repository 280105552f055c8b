// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/conv2d_int8/widen.h"

#include <string.h>

#include "tflite_ops/formats/single_rows.h"

namespace tfprune {
namespace {

// The next weights of one row.
struct Singles {
  const PackedWeights* weights;
  const int8_t* bytes;
  uint32_t group, left, column;  // of the first that is left

  void Next() {
    --left, ++group, ++bytes;
    if (left > 0) column += weights->Step(group);
  }
};

// Calls `group(start, four)` for each group of four columns of a row. False where two weights share a column.
template <typename Group>
bool Cover(Singles singles, uint32_t channels, Group group) {
  uint32_t free = 0;  // first column behind the group before
  while (singles.left > 0) {
    const uint32_t first = singles.column, position = first / channels * channels;
    if (first < free) return false;
    const uint32_t even = position + (first - position) / kDotCells * kDotCells;
    const uint32_t latest = position + channels - kDotCells;
    uint32_t start = channels > kMostChannelsAnywhere ? even : first;
    if (start > latest) start = latest;
    Singles rest = singles;
    uint32_t last = first;
    for (; rest.left > 0 && rest.column < start + kDotCells; rest.Next()) last = rest.column;
    if (last < even + kDotCells && even < start) start = even;
    int8_t four[kDotCells] = {};
    for (; singles.left > 0 && singles.column <= last; singles.Next()) {
      if (singles.column < free) return false;
      four[singles.column - start] = *singles.bytes;
      free = singles.column + 1;
    }
    group(start, four);
  }
  return true;
}

Singles SinglesOfRow(const PackedWeights& w, uint32_t row, size_t value) {
  const uint32_t first = w.FirstGroup(row), count = w.line_ends[row] - first;
  return {&w, w.bytes + value, first, count, count > 0 ? w.Step(first) : 0};
}

}  // namespace

bool WidenSingles(const PackedWeights& narrow, uint32_t percent, WideWeights* wide) {
  if (narrow.encoding != Encoding::kRowBand || narrow.group_rows != 1 || narrow.group_cols != 1) return false;
  if (narrow.in_channels < kDotCells) return false;
  uint64_t groups = 0;
  size_t value = 0;
  for (uint32_t row = 0; row < narrow.line_count; ++row) {
    const auto count = [&](uint32_t, const int8_t*) { ++groups; };
    if (!Cover(SinglesOfRow(narrow, row, value), narrow.in_channels, count)) return false;
    value += narrow.DotCellsOfLine(row);
  }
  if (groups * 100 > uint64_t{narrow.group_count} * percent) return false;
  if (!wide->line_ends.Reserve(narrow.line_count) || !wide->steps.Reserve(groups) ||
      !wide->bytes.Reserve(groups * kDotCells)) {
    return false;
  }
  uint32_t done = 0;
  bool fits = true;
  value = 0;
  for (uint32_t row = 0; row < narrow.line_count; ++row) {
    uint32_t column = 0;
    Cover(SinglesOfRow(narrow, row, value), narrow.in_channels, [&](uint32_t start, const int8_t* four) {
      fits = fits && start - column <= UINT16_MAX;
      wide->steps[done] = static_cast<uint16_t>(start - column);
      memcpy(wide->bytes.data() + size_t{done} * kDotCells, four, kDotCells);
      column = start;
      ++done;
    });
    wide->line_ends[row] = done;
    value += narrow.DotCellsOfLine(row);
  }
  CopyLayer(narrow, &wide->weights);
  wide->weights.encoding = Encoding::kRowBand;
  wide->weights.group_rows = 1, wide->weights.group_cols = kDotCells;
  wide->weights.line_count = narrow.line_count;
  wide->weights.group_count = done;
  wide->weights.value_count = done * kDotCells;
  wide->weights.line_ends = wide->line_ends.data();
  wide->weights.steps16 = wide->steps.data();
  wide->weights.bytes = wide->bytes.data();
  return fits;
}

}  // namespace tfprune
