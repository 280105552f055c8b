// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_TASKS_PACKED_VALUES_H_
#define TFPRUNE_GPU_TASKS_PACKED_VALUES_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/formats/half.h"
#include "tflite_ops/formats/packed_weights.h"

namespace tfprune {

// Kernels count the places of an array in 31 bits.
constexpr size_t kMostPlaces = (size_t{1} << 31) - 1;
// Lists of cells, one for each band and kernel position, empty ones too: a small file could ask for any number.
constexpr size_t kMostLists = size_t{1} << 26;

// The weight of output channel `row` that is stored at `index`, whatever its type.
inline float WeightAt(const PackedWeights& weights, uint32_t row, size_t index) {
  if (weights.values != nullptr) return weights.values[index];
  if (weights.halves != nullptr) return HalfToFloat(weights.halves[index]);
  const int32_t number = weights.bytes != nullptr ? weights.bytes[index] : weights.unsigned_bytes[index];
  return weights.scales[row] * static_cast<float>(number - weights.weight_zero_point);
}

// Channels of the bands that ForEachBandCell visits.
inline uint32_t BandRows(const PackedWeights& weights) {
  return weights.encoding == Encoding::kRowBand ? weights.group_rows : 1;
}

// Calls `visit(band, column, index, step)` for every stored column of every band: the weight of its channel r is stored
// at `index + r * step`. Weights that are stored otherwise than in row bands are bands of one channel.
template <typename Visit>
void ForEachBandCell(const PackedWeights& weights, Visit visit) {
  if (weights.encoding == Encoding::kRowBand) {
    ForEachCell(weights, visit);
  } else {
    ForEachWeight(weights, [&](uint32_t row, uint32_t column, size_t index) { visit(row, column, index, size_t{1}); });
  }
}

}  // namespace tfprune

#endif  // TFPRUNE_GPU_TASKS_PACKED_VALUES_H_
