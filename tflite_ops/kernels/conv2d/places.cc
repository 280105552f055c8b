// SPDX-License-Identifier: Apache-2.0
// What a Conv2DPlan makes of the weights: the places of their inputs, in the form that its kernel reads.
#include <string.h>

#include "tflite_ops/base/integers.h"
#include "tflite_ops/kernels/conv2d/conv2d.h"

namespace tfprune {
namespace {

constexpr uint32_t kPartFloats = 8 * 1024;  // columns times positions that single rows read one after the other

}  // namespace

WeightBytes Conv2DPlan::weight_bytes() const {
  if (weights_ == nullptr) return {};
  const PackedWeights& w = *weights_;
  const bool from_pixel_halves = kernel_.tile == 1 && ReadsHalvesOfPixel(w, kernels_.half_rows);
  const bool from_halves = halves_ != nullptr ? halves_ == w.halves : w.halves != nullptr && from_pixel_halves;
  const bool from_floats = halves_ == nullptr && w.halves == nullptr;
  WeightBytes bytes;
  if (!w.copied && from_halves) bytes.in_place = size_t{w.value_count} * sizeof(uint16_t);
  if (!w.copied && from_floats) bytes.in_place = size_t{w.value_count} * sizeof(float);
  bytes.repacked = w.repacked_bytes();
  if (rounded_from_ != nullptr) bytes.repacked += w.value_count * sizeof(uint16_t);
  const size_t cells = size_t{w.group_count} * w.group_cols;
  const size_t places = kernel_.steps ? StepsBegin(w, w.line_count + kEmptyLines) : cells;
  if (cell_offsets_.data() != nullptr) bytes.offsets = places * sizeof(uint32_t);
  bytes.offsets += size_t{part_count_} * w.line_count * sizeof(uint32_t) + w.step_bytes();
  return bytes;
}

Status Conv2DPlan::PrepareOffsets() {
  const PackedWeights& w = *weights_;
  if (!NeedsOffsets()) return {};
  size_t cells = 0;
  const size_t headers = kernel_.steps ? 2 * (size_t{w.line_count} + kEmptyLines) : 1;
  if (!CheckedMultiply(w.group_count, w.group_cols, &cells) || !cell_offsets_.Reserve(cells + headers)) {
    return Error("convolution: no memory for the places of %u groups", w.group_count);
  }
  AlignedArray<size_t> places;  // where each tap of channel 0 lies in the planes
  const uint32_t taps = w.kernel_h * w.kernel_w;
  if (!places.Reserve(taps)) return Error("convolution: no memory for its plan");
  for (uint32_t tap = 0; tap < taps; ++tap) places[tap] = PlaceOfTap(tap);
  const size_t channel_bytes = (kernel_.tile == 1 ? 1 : plane_stride_) * value_bytes_;
  uint32_t* offset = cell_offsets_.data();
  for (uint32_t line = 0, group = 0; line < w.line_count; ++line) {
    if (kernel_.steps) offset += 2;
    // Steps from group to group instead of dividing every column by the channels.
    for (uint32_t tap = 0, channel = 0; group < w.line_ends[line]; ++group) {
      channel += w.Step(group);
      for (; channel >= w.in_channels; ++tap) channel -= w.in_channels;
      for (uint32_t i = 0, t = tap, c = channel; i < w.group_cols; ++i) {
        *offset++ = static_cast<uint32_t>(places[t] + c * channel_bytes);
        if (++c == w.in_channels) c = 0, ++t;
      }
    }
  }
  if (kernel_.steps) OffsetsToSteps();
  return PrepareParts();
}

// Cuts the columns of single rows into parts; see TileArgs.
Status Conv2DPlan::PrepareParts() {
  const PackedWeights& w = *weights_;
  if (w.encoding != Encoding::kRowBand || w.group_rows != 1 || kernel_.tile <= 1 || kernel_.steps) return {};
  // Of the widest tile, whichever runs: a part's sums are added up before the next one's.
  const uint32_t part_columns = kPartFloats / kernels_.many.tile;
  part_count_ = DivideUp(w.columns(), part_columns);
  size_t ends = 0;
  if (!CheckedMultiply(part_count_, w.line_count, &ends) || !part_ends_.Reserve(ends)) {
    return Error("convolution: no memory for %u parts of its columns", part_count_);
  }
  memset(part_ends_.data(), 0, ends * sizeof(uint32_t));
  ForEachGroup(w, [&](uint32_t line, uint32_t group, uint32_t start) {
    for (uint32_t i = 0; i < w.group_cols; ++i) {
      part_ends_[size_t{(start + i) / part_columns} * w.line_count + line] = group * w.group_cols + i + 1;
    }
  });
  for (uint32_t line = 0; line < w.line_count; ++line) {
    uint32_t end = static_cast<uint32_t>(w.FirstCell(line));
    for (uint32_t part = 0; part < part_count_; ++part) {
      uint32_t* found = &part_ends_[size_t{part} * w.line_count + line];
      if (*found > end) end = *found;
      *found = end;
    }
  }
  return {};
}

// Bytes from the first plane; 0 for a single pixel, which has one tap.
size_t Conv2DPlan::PlaceOfTap(uint32_t tap) const {
  if (kernel_.tile == 1) return 0;
  const Phases::Place at = phases_.Of(tap);
  const size_t plane = size_t{at.phase} * weights_->in_channels * plane_stride_;
  return (plane + size_t{at.row} * plane_width_ + at.column) * value_bytes_;
}

// From the last line to the first, because each cell needs the offset of the next one.
void Conv2DPlan::OffsetsToSteps() {
  const PackedWeights& w = *weights_;
  uint32_t next = 0;
  for (uint32_t line = w.line_count + kEmptyLines; line-- > 0;) {
    uint32_t* steps = cell_offsets_.data() + StepsBegin(w, line);
    const size_t count = line < w.line_count ? w.CellsOfLine(line) : 0;
    for (size_t i = count; i-- > 0;) {
      const uint32_t offset = steps[2 + i];
      steps[2 + i] = next - offset;
      next = offset;
    }
    steps[0] = static_cast<uint32_t>(count);
    steps[1] = next;
  }
}

}  // namespace tfprune
