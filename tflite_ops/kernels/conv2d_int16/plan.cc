// SPDX-License-Identifier: Apache-2.0
// What an Int16Conv2DPlan decides before data arrive: kernels, strips, widened weights and the places of their inputs.
#include <string.h>

#include "tflite_ops/base/integers.h"
#include "tflite_ops/kernels/conv2d_int16/conv2d_int16.h"

namespace tfprune {

Status Int16Conv2DPlan::Prepare(const PackedWeights& weights, const IntegerBias& bias, const ImageSize& in, Arch arch,
                                uint32_t threads) {
  if (!NeedsInt16(weights) || !weights.has_integers())
    return Error("convolution: these kernels run int16 and uint8 activations, and weights with a zero point");
  if (weights.in_blocks()) {
    if (blocks_ != &weights) TFPRUNE_RETURN_IF_ERROR(BlocksToSingleRows(weights, &single_rows_));
    blocks_ = &weights;
    return Prepare(single_rows_, bias, in, arch, threads);
  }
  weights_ = &weights;
  kernels_ = {};
  single_ = false;
  threads_ = threads == 0 ? 1 : Smaller(threads, kMaxThreads);
  value_bytes_ = weights.activation_type == ActivationType::kInt16 ? 2 : 1;
  TFPRUNE_RETURN_IF_ERROR(InferConvShape(weights, in, &shape_));
  const size_t pixels = size_t{shape_.out.batch} * shape_.out.height * shape_.out.width;
  TFPRUNE_RETURN_IF_ERROR(PrepareChannels(weights, bias, RoundsTwice(weights, pixels), &channels_));
  if (arch == Arch::kReference || pixels == 0) return {};
  kernels_ = GetInt16Kernels(arch);
  // Below an eighth of a tile most of the vector would be idle: pixels go one by one, and weights are read once each.
  single_ = IsPointwise(weights) && pixels * 8 <= kernels_.tile;
  if (single_) {
    strips_.PrepareSingle(weights, shape_, threads_);
  } else {
    const uint32_t tail = (kInt16MaxTile + kInt16MaxOverrun) * sizeof(int16_t);
    const PlaneRules rules = {weights.in_channels, sizeof(int16_t), kernels_.tile, kInt16MaxOverrun, tail};
    TFPRUNE_RETURN_IF_ERROR(strips_.Prepare(weights, shape_, rules, threads_));
  }
  TFPRUNE_RETURN_IF_ERROR(WidenWeights());
  return PrepareOffsets();
}

// Weights less their zero point, pair by pair: both columns of the first row, of the second, ...
Status Int16Conv2DPlan::WidenWeights() {
  const PackedWeights& w = *weights_;
  if (!weight_begins_.Reserve(size_t{w.line_count} + 1) || !pair_begins_.Reserve(size_t{w.line_count} + 1))
    return Error("convolution: no memory for %u lines", w.line_count);
  size_t pairs = 0, values = 0;
  for (uint32_t line = 0; line < w.line_count; ++line) {
    weight_begins_[line] = values;
    pair_begins_[line] = static_cast<uint32_t>(pairs);
    const size_t of_line = (w.CellsOfLine(line) + 1) / kPairCells;
    pairs += of_line;
    values += of_line * kPairCells * w.RowsOfLine(line);
  }
  weight_begins_[w.line_count] = values;
  pair_begins_[w.line_count] = static_cast<uint32_t>(pairs);
  // A kernel may read the weights of two pairs behind the last of single rows.
  if (pairs > UINT32_MAX || !wide_weights_.Reserve(values + 8))
    return Error("convolution: no memory for %zu weights", values);
  memset(wide_weights_.data(), 0, (values + 8) * sizeof(int16_t));
  // Stored weights come group by group, column by column, row by row.
  uint32_t line = 0;
  size_t seen = 0;
  ForEachWeight(w, [&](uint32_t, uint32_t, size_t index) {
    while (seen == w.CellsOfLine(line) * w.RowsOfLine(line)) ++line, seen = 0;
    const size_t rows = w.RowsOfLine(line), cell = seen / rows, slot = seen % rows;
    const int32_t stored = w.value_type == ValueType::kUInt8 ? w.unsigned_bytes[index] : w.bytes[index];
    wide_weights_[weight_begins_[line] + (cell / kPairCells * rows + slot) * kPairCells + cell % kPairCells] =
        static_cast<int16_t>(stored - w.weight_zero_point);
    ++seen;
  });
  return {};
}

Status Int16Conv2DPlan::PrepareOffsets() {
  const PackedWeights& w = *weights_;
  const size_t count = size_t{pair_begins_[w.line_count]} * kPairCells;
  if (!offsets_.Reserve(count + kPairCells))
    return Error("convolution: no memory for the places of %u groups", w.group_count);
  // A cell that only fills up a pair has zero weights: any place does, and 0 is one.
  memset(offsets_.data(), 0, (count + kPairCells) * sizeof(uint32_t));
  ForEachGroup(w, [&](uint32_t line, uint32_t group, uint32_t start) {
    const size_t first = size_t{pair_begins_[line]} * kPairCells + size_t{group - w.FirstGroup(line)} * w.group_cols;
    for (uint32_t i = 0; i < w.group_cols; ++i) {
      const uint32_t column = start + i, channel = column % w.in_channels;
      offsets_[first + i] =
          single_ ? channel * static_cast<uint32_t>(sizeof(int16_t)) : strips_.PlaceOf(column, channel);
    }
  });
  return {};
}

WeightBytes Int16Conv2DPlan::weight_bytes() const {
  if (weights_ == nullptr) return {};
  WeightBytes bytes;
  bytes.repacked = weights_->repacked_bytes() + wide_weights_.capacity() * sizeof(int16_t);
  bytes.offsets = (offsets_.capacity() + pair_begins_.capacity()) * sizeof(uint32_t) +
                  weight_begins_.capacity() * sizeof(size_t) + weights_->step_bytes();
  if (kernels_.sums == nullptr && !weights_->copied && !weights_->filled) bytes.in_place = weights_->value_count;
  return bytes;
}

}  // namespace tfprune
