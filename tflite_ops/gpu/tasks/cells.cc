// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/tasks/cells.h"

#include "tflite_ops/base/integers.h"
#include "tflite_ops/gpu/tasks/longest_first.h"
#include "tflite_ops/gpu/tasks/packed_values.h"
#include "tflite_ops/gpu/tasks/task.h"

namespace tfprune {
namespace {

// position[band]: its place in launch order.
bool OrderBands(const PackedWeights& weights, uint32_t count, AlignedArray<uint32_t>* position) {
  AlignedArray<size_t> lengths;
  if (!lengths.Reserve(count) || !position->Reserve(count)) return false;
  ForEachBandCell(weights, [&](uint32_t band, uint32_t, size_t, size_t) { ++lengths[band]; });
  return LongestFirst(lengths.data(), count, position->data());
}

// starts[list]: cells before the list; the last is the number of all.
Status CountCells(const PackedWeights& weights, const AlignedArray<uint32_t>& position, Cells* cells) {
  ForEachBandCell(weights, [&](uint32_t band, uint32_t column, size_t, size_t) {
    ++cells->starts[position[band] * cells->taps + column / weights.in_channels + 1];
  });
  const uint32_t lists = cells->band_count * cells->taps;
  cells->cells_of_list = static_cast<uint32_t>(cells->starts[1]);
  cells->equal = cells->bytes = true;
  for (uint32_t list = 0; list < lists; ++list) {
    cells->equal = cells->equal && cells->starts[list + 1] == cells->starts[1];
    if ((list + 1) % cells->taps == 0) continue;
    cells->bytes = cells->bytes && cells->starts[list + 1] <= UINT8_MAX;
    if (cells->starts[list + 1] > UINT16_MAX) {
      return Error("gpu convolution: a band has at most 65535 columns of one kernel position, got %d",
                   cells->starts[list + 1]);
    }
  }
  for (uint32_t list = 0; list < lists; ++list) cells->starts[list + 1] += cells->starts[list];
  return {};
}

// `next` is a copy of starts: where the next cell of each list goes.
void FillCells(const PackedWeights& weights, const AlignedArray<uint32_t>& position, int32_t* next, Cells* cells) {
  ForEachBandCell(weights, [&](uint32_t band, uint32_t column, size_t index, size_t step) {
    const uint32_t first = band * cells->group_rows, rest = cells->out_channels - first;
    const uint32_t rows = rest < cells->group_rows ? rest : cells->group_rows;
    const uint32_t tap = column / weights.in_channels;
    const size_t cell = static_cast<size_t>(next[position[band] * cells->taps + tap]++);
    cells->channels[cell] = static_cast<uint16_t>(column % weights.in_channels);
    for (uint32_t row = 0; row < rows; ++row) {
      cells->values[cell * cells->stride() + row] = WeightAt(weights, first + row, index + row * step);
    }
  });
}

Status CheckPlaces(const Cells& cells) {
  if (cells.value_count() <= kMostPlaces) return {};
  return Error("gpu convolution: %zu weights are more than 2^31 places", cells.value_count());
}

}  // namespace

Status SizeDenseCells(uint32_t out_channels, uint32_t taps, uint32_t in_channels, uint32_t unit_rows, Cells* cells) {
  cells->out_channels = out_channels;
  cells->group_rows = cells->unit_rows = unit_rows;
  cells->parts = 1;
  cells->band_count = DivideUp(out_channels, unit_rows);
  cells->taps = taps;
  cells->sparse = false;
  cells->equal = true;
  cells->cells_of_list = in_channels;
  cells->cell_count = size_t{cells->band_count} * taps * in_channels;
  return CheckPlaces(*cells);
}

Status DenseCells(const float* weights, uint32_t out_channels, uint32_t taps, uint32_t in_channels, uint32_t unit_rows,
                  Cells* cells) {
  TFPRUNE_RETURN_IF_ERROR(SizeDenseCells(out_channels, taps, in_channels, unit_rows, cells));
  const size_t columns = size_t{taps} * in_channels;
  if (!cells->first_rows.Reserve(cells->band_count) || !cells->values.Reserve(cells->value_count())) {
    return NoMemory("convolution");
  }
  for (uint32_t band = 0; band < cells->band_count; ++band) {
    cells->first_rows[band] = static_cast<int32_t>(band * unit_rows);
  }
  for (uint32_t row = 0; row < out_channels; ++row) {
    float* to = cells->values.data() + row / unit_rows * columns * unit_rows + row % unit_rows;
    for (size_t column = 0; column < columns; ++column) to[column * unit_rows] = weights[row * columns + column];
  }
  return {};
}

Status SizeSparseCells(const PackedWeights& weights, Cells* cells) {
  cells->out_channels = weights.out_channels;
  cells->group_rows = BandRows(weights);
  cells->band_count = DivideUp(weights.out_channels, cells->group_rows);
  cells->parts = DivideUp(cells->group_rows, kMaxUnitRows);
  cells->unit_rows = DivideUp(cells->group_rows, cells->parts);
  cells->taps = weights.kernel_h * weights.kernel_w;
  cells->sparse = true;
  cells->cell_count = weights.encoding == Encoding::kRowBand ? size_t{weights.group_count} * weights.group_cols
                                                             : size_t{weights.value_count};
  const size_t lists = size_t{cells->band_count} * cells->taps;
  if (lists > kMostLists) return Error("gpu convolution: %zu lists of cells are more than 2^26", lists);
  return CheckPlaces(*cells);
}

Status SparseCells(const PackedWeights& weights, Cells* cells) {
  TFPRUNE_RETURN_IF_ERROR(SizeSparseCells(weights, cells));
  const size_t lists = size_t{cells->band_count} * cells->taps;
  AlignedArray<uint32_t> position;
  AlignedArray<int32_t> next;
  if (!OrderBands(weights, cells->band_count, &position) || !cells->first_rows.Reserve(cells->band_count) ||
      !cells->starts.Reserve(lists + 1) || !next.Reserve(lists) || !cells->channels.Reserve(cells->cell_count) ||
      !cells->values.Reserve(cells->value_count())) {
    return NoMemory("convolution");
  }
  for (uint32_t band = 0; band < cells->band_count; ++band) {
    cells->first_rows[position[band]] = static_cast<int32_t>(band * cells->group_rows);
  }
  TFPRUNE_RETURN_IF_ERROR(CountCells(weights, position, cells));
  memcpy(next.data(), cells->starts.data(), lists * sizeof(int32_t));
  FillCells(weights, position, next.data(), cells);
  return {};
}

}  // namespace tfprune
