// SPDX-License-Identifier: Apache-2.0
// What an Int8Conv2DPlan decides before data arrive: starts of sums, layout, planes, offsets, strips.
#include <math.h>
#include <string.h>

#include "tflite_ops/base/integers.h"
#include "tflite_ops/kernels/conv2d_int8/conv2d_int8.h"

namespace tfprune {
namespace {

// Whether every group is whole quads that each lie in one kernel position.
bool FitsQuads(const PackedWeights& w) {
  if (w.group_cols % kDotCells != 0) return false;
  bool fits = true;
  ForEachGroup(w, [&](uint32_t, uint32_t, uint32_t start) {
    for (uint32_t i = 0; i < w.group_cols; i += kDotCells) {
      fits = fits && (start + i) % w.in_channels + kDotCells <= w.in_channels;
    }
  });
  return fits;
}

}  // namespace

Status PrepareChannels(const PackedWeights& w, const void* bias, Int8Channels* channels) {
  AlignedArray<uint64_t> sizes;
  if (!sizes.Reserve(w.out_channels) || !channels->row_sums.Reserve(w.out_channels) ||
      !channels->factors.Reserve(w.out_channels)) {
    return Error("convolution: no memory for %u output channels", w.out_channels);
  }
  for (uint32_t r = 0; r < w.out_channels; ++r) sizes[r] = 0, channels->row_sums[r] = 0;
  ForEachWeight(w, [&](uint32_t row, uint32_t, size_t index) {
    const int32_t weight = w.bytes[index];
    sizes[row] += static_cast<uint64_t>(weight < 0 ? -weight : weight);
    channels->row_sums[row] = static_cast<int32_t>(static_cast<uint32_t>(channels->row_sums[row]) + weight);
  });
  const bool int8 = w.HasInt8Activations();
  for (uint32_t r = 0; r < w.out_channels; ++r) {
    const int64_t start = int8 && bias != nullptr ? static_cast<const int32_t*>(bias)[r] : 0;
    if (sizes[r] * 255 + static_cast<uint64_t>(start < 0 ? -start : start) > INT32_MAX)
      return Error("convolution: a sum of output channel %u may leave 32 bits", r);
    channels->factors[r] = int8 ? w.input_scale * w.scales[r] / w.output_scale : 0.0f;
    if (!isfinite(channels->factors[r]))
      return Error("convolution: the scales of output channel %u are too far apart", r);
  }
  ActivationBounds(w.activation, &channels->low, &channels->high);
  if (int8) {
    const float zero = static_cast<float>(w.output_zero_point);
    const float low = channels->low / w.output_scale, high = channels->high / w.output_scale;
    channels->low = low > -128.0f - zero ? RoundToEven(low) : -128.0f - zero;
    channels->high = high < 127.0f - zero ? RoundToEven(high) : 127.0f - zero;
  }
  return {};
}

Status Int8Conv2DPlan::Prepare(const PackedWeights& weights, const void* bias, const ImageSize& in, Arch arch,
                               uint32_t threads) {
  if (weights.value_type != ValueType::kInt8) return Error("convolution: these kernels run int8 weights only");
  if (weights.in_blocks()) {
    if (blocks_ != &weights) TFPRUNE_RETURN_IF_ERROR(BlocksToSingleRows(weights, &single_rows_));
    blocks_ = &weights;
    return Prepare(single_rows_, bias, in, arch, threads);
  }
  weights_ = &weights;
  bias_ = bias;
  kernels_ = {};
  single_ = false;
  threads_ = threads == 0 ? 1 : Smaller(threads, kMaxThreads);
  TFPRUNE_RETURN_IF_ERROR(InferConvShape(weights, in, &shape_));
  TFPRUNE_RETURN_IF_ERROR(PrepareChannels(weights, bias, &channels_));
  pointwise_ = IsPointwise(weights);
  const size_t pixels = size_t{shape_.out.batch} * shape_.out.height * shape_.out.width;
  if (RoundsAsBuiltin(weights)) {
    const bool twice = RoundsTwice(weights, pixels);
    TFPRUNE_RETURN_IF_ERROR(PrepareChannels(weights, IntegerBias{bias, false}, twice, &channels_.builtin));
    for (uint32_t r = 0; r < weights.out_channels; ++r) channels_.builtin.rules[r].bias = 0;  // sums start from it
  }
  if (arch == Arch::kReference || pixels == 0) return {};
  TFPRUNE_RETURN_IF_ERROR(ChooseKernels(arch));
  // Below an eighth of a tile most of the vector would be idle: pixels go one by one, and weights are read once each.
  single_ = pointwise_ && pixels * 8 <= kernels_.kernel.tile;
  if (single_) {
    TFPRUNE_RETURN_IF_ERROR(PrepareStarts());
    return PreparePixel();
  }
  const bool known = widened_ == &weights && kernels_.widen_percent > 0;
  if (known || WidenSingles(weights, kernels_.widen_percent, &wide_)) {
    widened_ = &weights;
    weights_ = &wide_.weights;
    TFPRUNE_RETURN_IF_ERROR(ChooseKernels(arch));
  }
  TFPRUNE_RETURN_IF_ERROR(PrepareStarts());
  TFPRUNE_RETURN_IF_ERROR(strips_.Prepare(*weights_, shape_, Rules(), threads_));
  return PrepareOffsets();
}

// Bytes hold input ^ flip: as unsigned numbers they are 128 too large. The zero point of float activations is known at
// run time only and taken off at the end.
Status Int8Conv2DPlan::PrepareStarts() {
  const PackedWeights& w = *weights_;
  if (!starts_.Reserve(w.out_channels + kMoreStarts))
    return Error("convolution: no memory for %u output channels", w.out_channels);
  memset(starts_.data() + w.out_channels, 0, kMoreStarts * sizeof(int32_t));
  const bool int8 = w.HasInt8Activations();
  const uint32_t shift = static_cast<uint32_t>(w.input_zero_point) + kernels_.flip;
  for (uint32_t r = 0; r < w.out_channels; ++r) {
    const int32_t bias = int8 && bias_ != nullptr ? static_cast<const int32_t*>(bias_)[r] : 0;
    // Modulo 2^32, as the sums.
    starts_[r] =
        static_cast<int32_t>(static_cast<uint32_t>(bias) - shift * static_cast<uint32_t>(channels_.row_sums[r]));
  }
  return {};
}

Status Int8Conv2DPlan::ChooseKernels(Arch arch) {
  const PackedWeights& w = *weights_;
  TFPRUNE_RETURN_IF_ERROR(ChooseLayout());
  size_t cells = 0;
  for (uint32_t line = 0; line < w.line_count; ++line) cells += w.DotCellsOfLine(line);
  const size_t operands = w.line_count == 0 ? 0 : cells / kDotCells / w.line_count;
  kernels_ = GetInt8Kernels(arch, w.encoding, w.group_rows, layout_, static_cast<uint32_t>(operands));
  return {};
}

Status Int8Conv2DPlan::ChooseLayout() {
  layout_ = FitsQuads(*weights_) ? Int8Layout::kQuads : Int8Layout::kPlanes;
  cell_bytes_ = layout_ == Int8Layout::kQuads ? 4 : 1;
  return layout_ == Int8Layout::kQuads ? ChooseQuads() : Status{};
}

// Quads at multiples of four, which are all transposed, and those between them that some group reads.
Status Int8Conv2DPlan::ChooseQuads() {
  const PackedWeights& w = *weights_;
  const uint32_t channels = w.in_channels;
  if (!plane_of_channel_.Reserve(channels) || !between_.Reserve(channels))
    return Error("convolution: no memory for %u input channels", channels);
  memset(plane_of_channel_.data(), 0, channels * sizeof(uint32_t));
  ForEachGroup(w, [&](uint32_t, uint32_t, uint32_t start) {
    for (uint32_t i = 0; i < w.group_cols; i += kDotCells) plane_of_channel_[(start + i) % channels] = 1;
  });
  uint32_t between = 0;
  for (uint32_t remainder = 1; remainder < kDotCells; ++remainder) {
    for (uint32_t c = remainder; c < channels; c += kDotCells) {
      if (plane_of_channel_[c] != 0) between_[between++] = c / kDotCells;
    }
    between_ends_[remainder] = between;
  }
  // The last quad may be cut short: then only others are made of it.
  even_quads_ = between > 0 ? DivideUp(channels, kDotCells) : channels / kDotCells;
  for (uint32_t c = 0; c < channels; c += kDotCells) plane_of_channel_[c] = c / kDotCells;
  for (uint32_t remainder = 1; remainder < kDotCells; ++remainder) {
    for (uint32_t i = between_ends_[remainder - 1]; i < between_ends_[remainder]; ++i)
      plane_of_channel_[between_[i] * kDotCells + remainder] = even_quads_ + i;
  }
  return {};
}

uint32_t Int8Conv2DPlan::PlanesOfPhase() const {
  return layout_ == Int8Layout::kPlanes ? weights_->in_channels : even_quads_ + between_ends_[kDotCells - 1];
}

// A tile may read behind the last position, a fill may write there.
PlaneRules Int8Conv2DPlan::Rules() const {
  return {PlanesOfPhase(), cell_bytes_, static_cast<uint32_t>(kernels_.kernel.tile), kInt8MaxOverrun,
          kInt8MaxTile * 4 + kInt8MaxOverrun};
}

Status Int8Conv2DPlan::PrepareOffsets() {
  const PackedWeights& w = *weights_;
  const uint32_t step = layout_ == Int8Layout::kQuads ? kDotCells : 1;
  size_t operands = 0;
  if (!operand_begins_.Reserve(size_t{w.line_count} + 1))
    return Error("convolution: no memory for %u lines", w.line_count);
  for (uint32_t line = 0; line < w.line_count; ++line) {
    operand_begins_[line] = static_cast<uint32_t>(operands);
    operands += w.DotCellsOfLine(line) / kDotCells;
  }
  operand_begins_[w.line_count] = static_cast<uint32_t>(operands);
  if (operands > UINT32_MAX || !offsets_.Reserve(operands * (kDotCells / step) + 1))
    return Error("convolution: no memory for the places of %u groups", w.group_count);
  // Cells that only fill up an operand have zero weights: any place does, and 0 is one.
  for (size_t i = 0; i < operands * (kDotCells / step); ++i) offsets_[i] = 0;
  ForEachGroup(w, [&](uint32_t line, uint32_t group, uint32_t start) {
    const size_t cell = size_t{operand_begins_[line]} * kDotCells + size_t{group - w.FirstGroup(line)} * w.group_cols;
    for (uint32_t i = 0; i < w.group_cols; i += step) {
      const uint32_t channel = (start + i) % w.in_channels;
      const uint32_t plane = layout_ == Int8Layout::kQuads ? plane_of_channel_[channel] : channel;
      offsets_[(cell + i) / step] = strips_.PlaceOf(start + i, plane);
    }
  });
  return {};
}

WeightBytes Int8Conv2DPlan::weight_bytes() const {
  if (weights_ == nullptr) return {};
  WeightBytes bytes;
  const bool wide = weights_ == &wide_.weights;
  const PackedWeights& narrow = wide ? *widened_ : *weights_;
  bytes.in_place = wide || narrow.copied || narrow.filled ? 0 : narrow.value_count;
  bytes.repacked = narrow.repacked_bytes() + (wide ? wide_.repacked_bytes() : 0);
  bytes.offsets = (offsets_.capacity() + operand_begins_.capacity()) * sizeof(uint32_t) + narrow.step_bytes() +
                  window_counts_.capacity() + window_places_.capacity();
  return bytes;
}

}  // namespace tfprune
