// SPDX-License-Identifier: Apache-2.0
// An Int8Conv2DPlan that goes pixel by pixel: where the inputs of cells are, and how sums become results.
#include <string.h>

#include "tflite_ops/base/integers.h"
#include "tflite_ops/kernels/conv2d_int8/conv2d_int8.h"

namespace tfprune {
namespace {

// Fewest cells, in an average window of a line, that are collected by windows: a window takes about as many
// instructions as four steps.
constexpr uint32_t kFewestInWindow = 3;

// Four rows: one register of every instruction set, so no dispatch is needed.
constexpr uint32_t kFour = 4;
typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));
typedef uint32_t Words __attribute__((vector_size(16)));
typedef int8_t Bytes __attribute__((vector_size(16)));
typedef uint64_t Longs __attribute__((vector_size(16)));

template <typename Vector, typename T>
Vector Load(const T* p) {
  Vector v;
  memcpy(&v, p, sizeof(v));
  return v;
}

// As ClampFloat.
Floats Clamp(Floats value, float low, float high) {
  const Floats lowest = {low, low, low, low}, highest = {high, high, high, high};
  const Floats raised = value < lowest ? lowest : value;
  return raised > highest ? highest : raised;
}

// FinishInt8 of four rows that XNNPACK rounds.
void FinishFour(const Int8Channels& channels, const int32_t* sums, const float* factors, int32_t zero_point,
                int8_t* out) {
  const Floats product = __builtin_convertvector(Load<Ints>(sums), Floats) * Load<Floats>(factors);
  const Floats shifted = Clamp(product, channels.low, channels.high) + 12582912.0f;
  const Bytes bytes = reinterpret_cast<Bytes>(__builtin_convertvector(shifted - 12582912.0f, Ints) + zero_point);
  const Bytes four = __builtin_shufflevector(bytes, bytes, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
  memcpy(out, &four, kFour);
}

// FinishFloat of four rows, and before it the zero point that is known at run time only.
void FinishFour(const Int8Channels& channels, const QuantizedRange& range, const int32_t* sums, const int32_t* row_sums,
                const float* scales, const float* bias, float* out) {
  const Words sum = Load<Words>(sums) - Load<Words>(row_sums) * static_cast<uint32_t>(range.zero_point);
  const Floats product = __builtin_convertvector(reinterpret_cast<Ints>(sum), Floats) * range.scale;
  const Floats value = Clamp(product * Load<Floats>(scales) + Load<Floats>(bias), channels.low, channels.high);
  memcpy(out, &value, sizeof(value));
}

// `count` values, and zeros up to four.
template <typename T>
struct Few {
  T value[kFour] = {};
  Few(const T* from, uint32_t count) {
    for (uint32_t i = 0; from != nullptr && i < count; ++i) value[i] = from[i];
  }
};

}  // namespace

Status Int8Conv2DPlan::PreparePixel() {
  const PackedWeights& w = *weights_;
  strips_.PrepareSingle(w, shape_, threads_);
  weight_bytes_ = 0;
  size_t most_cells = 0;
  for (uint32_t line = 0; line < w.line_count; ++line) {
    const size_t cells = w.DotCellsOfLine(line);
    weight_bytes_ += cells * w.RowsOfLine(line);
    if (cells > most_cells) most_cells = cells;
  }
  inputs_stride_ = RoundUpToAlignment(most_cells + kPixelSlack);
  const size_t windows = DivideUp(w.in_channels, static_cast<uint32_t>(kPixelWindow));
  const bool few = w.group_count < uint64_t{w.line_count} * windows * kFewestInWindow;
  windows_ = w.group_cols > 1 || few ? 0 : windows;
  return windows_ == 0 ? Status{} : PrepareWindows();
}

Status Int8Conv2DPlan::PrepareWindows() {
  const PackedWeights& w = *weights_;
  const size_t counts = w.line_count * windows_, places = w.group_count + kPixelWindow;
  if (!window_counts_.Reserve(counts) || !window_places_.Reserve(places))
    return Error("convolution: no memory for the places of %u groups", w.group_count);
  memset(window_counts_.data(), 0, counts);
  memset(window_places_.data() + w.group_count, 0, kPixelWindow);
  ForEachGroup(w, [&](uint32_t line, uint32_t group, uint32_t column) {
    ++window_counts_[line * windows_ + column / kPixelWindow];
    window_places_[group] = static_cast<uint8_t>(column % kPixelWindow);
  });
  return {};
}

size_t Int8Conv2DPlan::PixelBytes() const {
  return RoundUpToAlignment(size_t{weights_->out_channels} * sizeof(int32_t)) +
         RoundUpToAlignment(weights_->in_channels + kPixelWindow) + 2 * inputs_stride_;
}

void Int8Conv2DPlan::RunPixel(const Job& job, size_t task, uint32_t slot) const {
  const PackedWeights& w = *weights_;
  const StripTask strip = strips_.TaskOf(task);
  const size_t pixel = strips_.FirstPixel(strip);
  const uint32_t begin = strip.row_begin, end = strip.row_end;
  uint8_t* memory = job.scratch + slot * SlotBytes();
  int32_t* sums = reinterpret_cast<int32_t*>(memory);
  uint8_t* x = memory + RoundUpToAlignment(size_t{w.out_channels} * sizeof(int32_t));
  uint8_t* inputs = x + RoundUpToAlignment(w.in_channels + kPixelWindow);
  memcpy(sums + begin, starts_.data() + begin, (end - begin) * sizeof(int32_t));
  memcpy(x, job.x + pixel * w.in_channels, w.in_channels);
  if (kernels_.flip != 0) {
    const uint64_t flip = kernels_.flip * 0x0101010101010101u;
    for (size_t i = 0; i < w.in_channels; i += sizeof(Longs)) {
      const Longs flipped = Load<Longs>(x + i) ^ flip;
      memcpy(x + i, &flipped, sizeof(flipped));
    }
  }
  kernels_.pixel({&w, weight_bytes_, windows_, window_counts_.data(), window_places_.data(), begin, end, x, inputs,
                  inputs_stride_, sums});
  if (job.zero_points == nullptr) {
    FinishBytes(sums, begin, end, reinterpret_cast<int8_t*>(job.y) + pixel * w.out_channels);
  } else {
    const QuantizedRange range = {job.scales[pixel], 0.0f, job.zero_points[pixel]};
    FinishFloats(range, sums, begin, end, reinterpret_cast<float*>(job.y) + pixel * w.out_channels);
  }
}

void Int8Conv2DPlan::FinishBytes(const int32_t* sums, uint32_t begin, uint32_t end, int8_t* out) const {
  const float* factors = channels_.factors.data();
  const int32_t zero = weights_->output_zero_point;
  uint32_t r = begin;
  if (RoundsAsBuiltin(*weights_)) {
    for (; r < end; ++r) out[r] = FinishInt8(*weights_, channels_, r, sums[r]);
    return;
  }
  for (; r + kFour <= end; r += kFour) FinishFour(channels_, sums + r, factors + r, zero, out + r);
  if (r == end) return;
  const uint32_t rest = end - r;
  int8_t few[kFour];
  FinishFour(channels_, Few<int32_t>(sums + r, rest).value, Few<float>(factors + r, rest).value, zero, few);
  memcpy(out + r, few, rest);
}

void Int8Conv2DPlan::FinishFloats(const QuantizedRange& range, const int32_t* sums, uint32_t begin, uint32_t end,
                                  float* out) const {
  const int32_t* row_sums = channels_.row_sums.data();
  const float *scales = weights_->scales, *bias = static_cast<const float*>(bias_);
  const float zeros[kFour] = {};
  uint32_t r = begin;
  for (; r + kFour <= end; r += kFour) {
    const float* four = bias == nullptr ? zeros : bias + r;
    FinishFour(channels_, range, sums + r, row_sums + r, scales + r, four, out + r);
  }
  if (r == end) return;
  const uint32_t rest = end - r;
  float few[kFour];
  FinishFour(channels_, range, Few<int32_t>(sums + r, rest).value, Few<int32_t>(row_sums + r, rest).value,
             Few<float>(scales + r, rest).value, Few<float>(bias == nullptr ? nullptr : bias + r, rest).value, few);
  memcpy(out + r, few, rest * sizeof(float));
}

}  // namespace tfprune
