// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/tasks/sliding_cells.h"

#include "tflite_ops/base/integers.h"
#include "tflite_ops/gpu/tasks/longest_first.h"
#include "tflite_ops/gpu/tasks/packed_values.h"
#include "tflite_ops/gpu/tasks/task.h"

namespace tfprune {
namespace {

// Calls visit(unit, line, column, index, step) for the share of every unit in every column of every group: the weight
// of the column's slot s is stored at `index + s * step`.
template <typename Visit>
void ForEachShare(const PackedWeights& weights, Visit visit) {
  const uint32_t rows = weights.group_rows;
  ForEachCell(weights, [&](uint32_t start_row, uint32_t column, size_t index, size_t step) {
    const uint32_t first = start_row / kSlidingUnitRows, last = (start_row + rows - 1) / kSlidingUnitRows;
    for (uint32_t unit = first; unit <= last; ++unit) {
      visit(unit, start_row + rows - 1 - unit * kSlidingUnitRows, column, index, step);
    }
  });
}

// Where the lists of each unit stand, and in them the next cell.
struct Places {
  AlignedArray<uint32_t> positions;        // [units]: of each in launch order
  AlignedArray<size_t> cells, values;      // [lists], the first of each list
  AlignedArray<uint32_t> filled, channel;  // [lists]: cells so far, and the channel of the last

  bool Reserve(uint32_t units, size_t lists) {
    return positions.Reserve(units) && cells.Reserve(lists) && values.Reserve(lists) && filled.Reserve(lists) &&
           channel.Reserve(lists);
  }
  size_t ListOf(const PackedWeights& weights, const SlidingCells& to, uint32_t unit, uint32_t line,
                uint32_t column) const {
    return (size_t{positions[unit]} * to.taps + column / weights.in_channels) * to.lines() + line;
  }
};

bool OrderUnits(const PackedWeights& weights, SlidingCells* to, Places* places) {
  AlignedArray<size_t> lengths;
  if (!lengths.Reserve(to->unit_count)) return false;
  ForEachShare(weights,
               [&](uint32_t unit, uint32_t line, uint32_t, size_t, size_t) { lengths[unit] += to->CountOfLine(line); });
  if (!LongestFirst(lengths.data(), to->unit_count, places->positions.data())) return false;
  for (uint32_t unit = 0; unit < to->unit_count; ++unit) {
    to->first_rows[places->positions[unit]] = static_cast<int32_t>(unit * kSlidingUnitRows);
  }
  return true;
}

// Starts of lists and units from the numbers of cells of the lists, which stand in `filled` and begin at 0 again.
Status SumUp(SlidingCells* to, Places* places) {
  const size_t lists_of_unit = size_t{to->taps} * to->lines();
  to->bytes = true;
  to->value_count = 0;
  for (size_t list = 0; list < to->list_count(); ++list) {
    if (list % lists_of_unit == 0) {
      to->cell_starts[list / lists_of_unit] = static_cast<int32_t>(to->cell_count);
      to->value_starts[list / lists_of_unit] = static_cast<int32_t>(to->value_count);
    }
    const uint32_t count = places->filled[list];
    if (count > UINT16_MAX) {
      return Error("gpu convolution: sliding rows have at most 65535 columns of one kernel position, got %u", count);
    }
    to->counts[list] = static_cast<uint16_t>(count);
    to->bytes = to->bytes && count <= UINT8_MAX;
    places->cells[list] = to->cell_count;
    places->values[list] = to->value_count;
    places->filled[list] = 0;
    to->cell_count += count;
    to->value_count += size_t{count} * to->CountOfLine(static_cast<uint32_t>(list % to->lines()));
    if (to->value_count > kMostPlaces) return Error("gpu convolution: the weights have more than 2^31 places");
  }
  return {};
}

void Fill(const PackedWeights& weights, SlidingCells* to, Places* places) {
  ForEachShare(weights, [&](uint32_t unit, uint32_t line, uint32_t column, size_t index, size_t step) {
    const size_t list = places->ListOf(weights, *to, unit, line, column);
    const size_t cell = places->filled[list]++;
    const uint32_t channel = column % weights.in_channels, count = to->CountOfLine(line);
    // Channels may fall where groups of several columns overlap: the kernel adds steps in 16 bits.
    const uint16_t move = static_cast<uint16_t>(channel - places->channel[list]);
    places->channel[list] = channel;
    to->steps[places->cells[list] + cell] = move;
    to->bytes = to->bytes && move <= UINT8_MAX;
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t row = unit * kSlidingUnitRows + to->FirstOfLine(line) + i;
      // Slot s of a stored group holds the row whose number is s modulo the group's rows.
      const float weight = WeightAt(weights, row, index + row % weights.group_rows * step);
      to->values[places->values[list] + cell * count + i] = weight;
    }
  });
}

}  // namespace

Status SizeSlidingCells(const PackedWeights& weights, SlidingCells* cells) {
  cells->group_rows = weights.group_rows;
  cells->unit_count = DivideUp(weights.out_channels, kSlidingUnitRows);
  cells->taps = weights.kernel_h * weights.kernel_w;
  // Units share the weights of groups between them: each is stored once.
  cells->value_count = size_t{weights.group_count} * weights.group_cols * weights.group_rows;
  if (cells->list_count() > kMostLists) {
    return Error("gpu convolution: %zu lists of cells are more than 2^26", cells->list_count());
  }
  if (cells->value_count <= kMostPlaces) return {};
  return Error("gpu convolution: the weights have more than 2^31 places");
}

Status SplitSlidingRows(const PackedWeights& weights, SlidingCells* cells) {
  TFPRUNE_RETURN_IF_ERROR(SizeSlidingCells(weights, cells));
  const uint32_t units = cells->unit_count;
  const size_t lists = cells->list_count();
  Places places;
  if (!places.Reserve(units, lists) || !cells->first_rows.Reserve(units) || !cells->cell_starts.Reserve(units) ||
      !cells->value_starts.Reserve(units) || !cells->counts.Reserve(lists) || !OrderUnits(weights, cells, &places)) {
    return NoMemory("convolution");
  }
  ForEachShare(weights, [&](uint32_t unit, uint32_t line, uint32_t column, size_t, size_t) {
    ++places.filled[places.ListOf(weights, *cells, unit, line, column)];
  });
  TFPRUNE_RETURN_IF_ERROR(SumUp(cells, &places));
  if (!cells->steps.Reserve(cells->cell_count) || !cells->values.Reserve(cells->value_count)) {
    return NoMemory("convolution");
  }
  Fill(weights, cells, &places);
  return {};
}

}  // namespace tfprune
