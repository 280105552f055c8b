// SPDX-License-Identifier: Apache-2.0
// Sparse 2D convolution with int8 weights on NHWC tensors; a fully-connected layer is a 1x1 convolution over `batch`
// pixels. The meaning is that of docs/formats.md, "int8":
//
//   int8 activations   y = clip(rint(float(sum) * (s_in * s_w / s_out)) + zero_out),  sum = bias + w . (x - zero_in),
//                      or sums rounded as one of LiteRT's builtin kernels does
//   float activations  x is quantised first, each pixel by itself for pointwise ops, else each image;
//                      y = act(float(w . (xq - zero)) * s_x * s_w + bias)
//
// The plan is that of conv2d.h (strips of output rows, one plane for each phase of the stride) on cells of four
// neighbouring channels (Int8Layout::kQuads) where all groups are a multiple of four columns inside one kernel
// position, and on planes of single channels (kPlanes) otherwise. Quads may start at any channel: those that some group
// reads between two that start at multiples of four are shifted together from these two.
#ifndef TFPRUNE_KERNELS_CONV2D_INT8_CONV2D_INT8_H_
#define TFPRUNE_KERNELS_CONV2D_INT8_CONV2D_INT8_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/arch.h"
#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/base/thread_pool.h"
#include "tflite_ops/formats/packed_weights.h"
#include "tflite_ops/formats/single_rows.h"
#include "tflite_ops/kernels/conv2d/conv2d.h"
#include "tflite_ops/kernels/conv2d/strips.h"
#include "tflite_ops/kernels/conv2d_int16/conv2d_int16.h"
#include "tflite_ops/kernels/conv2d_int8/quantize.h"
#include "tflite_ops/kernels/conv2d_int8/widen.h"
#include "tflite_ops/kernels/planar_int8/planar_int8.h"

namespace tfprune {

// What each output channel needs beside its weights, computed once.
struct Int8Channels {
  AlignedArray<int32_t> row_sums;  // sums of weights
  AlignedArray<float> factors;     // s_in * s_w / s_out; empty for float activations
  float low = 0, high = 0;         // clamp: of float values, or of int8 values before the zero point is added
  Int16Channels builtin;           // where sums are rounded as builtin kernels do; its rules have no bias
};

// Whether a layer with int8 activations rounds as LiteRT's builtin kernels do.
inline bool RoundsAsBuiltin(const PackedWeights& w) { return w.rounding > Rounding::kXnnpack; }

// Fails where a sum could leave 32 bits, |bias| + 255 * sum |w| >= 2^31, or a factor is not finite. `bias` is null or
// [out_channels] of int32 for int8 activations (of float it is not read).
Status PrepareChannels(const PackedWeights& weights, const void* bias, Int8Channels* channels);

// One result from its exact sum.
inline float ClampFloat(float value, float low, float high) {
  const float raised = value < low ? low : value;
  return raised > high ? high : raised;
}
inline int8_t FinishInt8(const PackedWeights& w, const Int8Channels& channels, uint32_t row, int32_t sum) {
  if (RoundsAsBuiltin(w))
    return static_cast<int8_t>(Requantize(channels.builtin.rules[row], channels.builtin.range, sum));
  const float value = ClampFloat(static_cast<float>(sum) * channels.factors[row], channels.low, channels.high);
  return static_cast<int8_t>(static_cast<int32_t>(RoundToEven(value)) + w.output_zero_point);
}
inline float FinishFloat(const PackedWeights& w, const Int8Channels& channels, uint32_t row, int32_t sum, float scale,
                         const float* bias) {
  const float product = static_cast<float>(sum) * scale * w.scales[row];
  return ClampFloat(product + (bias == nullptr ? 0.0f : bias[row]), channels.low, channels.high);
}

// The layer as plain loops: the oracle of every other variant. `x`, `y` are int8 or float, `bias` (may be null) int32
// or float. False where there is no memory.
bool ReferenceInt8Conv2D(const PackedWeights& weights, const Int8Channels& channels, const ConvShape& shape,
                         const void* x, const void* bias, void* y);

// Everything about one layer and one input shape that can be decided before data arrive.
class Int8Conv2DPlan {
 public:
  // `weights` and `bias` (null, or int32 or float as the activations are int8 or float) must outlive the plan. Works
  // through `arch`, which must be supported, with up to `threads` threads.
  Status Prepare(const PackedWeights& weights, const void* bias, const ImageSize& in, Arch arch, uint32_t threads);

  // Computes `y` from `x`. False where there is no memory for scratch. Plans may run concurrently with own workspaces.
  bool Run(const void* x, void* y, ThreadPool* pool, Workspace* workspace) const;

  const ConvShape& shape() const { return shape_; }
  const char* kernel_name() const {
    return kernels_.kernel.run == nullptr ? "reference_int8" : single_ ? kernels_.pixel_name : kernels_.kernel.name;
  }
  WeightBytes weight_bytes() const;

 private:
  struct Job {
    const Int8Conv2DPlan* plan;
    const uint8_t* x;
    uint8_t* y;
    uint8_t* scratch;  // one slot a thread
    // Float activations: of each pixel or image; null for int8.
    const int32_t* zero_points;
    const float* scales;
  };

  Status PrepareStarts();
  Status PreparePixel();
  Status PrepareWindows();
  Status ChooseKernels(Arch arch);
  Status ChooseLayout();
  Status ChooseQuads();
  PlaneRules Rules() const;
  Status PrepareOffsets();
  uint32_t PlanesOfPhase() const;
  void FillStrip(const Job& job, const StripTask& strip, uint8_t* planes) const;
  void FillRow(const Job& job, const StripTask& strip, uint32_t phase, uint32_t row, uint8_t* planes) const;
  void ToPlanar(const uint8_t* in, size_t in_stride, size_t count, uint8_t* out) const;
  uint32_t SegmentsOf(const Job& job, const StripTask& strip, size_t begin, size_t width, Int8Segment* segments) const;
  void UseRanges(const Job& job, const StripTask& strip, Int8TileArgs* args) const;
  void RunStrip(const Job& job, size_t task, uint32_t slot) const;
  void RunPixel(const Job& job, size_t task, uint32_t slot) const;
  void FinishBytes(const int32_t* sums, uint32_t begin, uint32_t end, int8_t* out) const;
  void FinishFloats(const QuantizedRange& range, const int32_t* sums, uint32_t begin, uint32_t end, float* out) const;
  size_t PixelBytes() const;
  size_t SlotBytes() const;

  const PackedWeights* weights_ = nullptr;
  const void* bias_ = nullptr;
  PackedWeights single_rows_;              // what blocks run as
  const PackedWeights* blocks_ = nullptr;  // which
  WideWeights wide_;  // what `weights_` points to where single weights run as groups of four columns
  const PackedWeights* widened_ = nullptr;  // whose they are
  ConvShape shape_ = {};
  StripPlan strips_;
  Int8KernelSet kernels_ = {};
  Int8Layout layout_ = Int8Layout::kPlanes;
  Int8Channels channels_;
  bool pointwise_ = false;
  bool single_ = false;                          // pixel by pixel: too few of them for a tile
  size_t weight_bytes_ = 0, inputs_stride_ = 0;  // see Int8PixelArgs
  size_t windows_ = 0;
  AlignedArray<uint8_t> window_counts_, window_places_;
  uint32_t threads_ = 1;
  uint32_t cell_bytes_ = 1;                  // of one position in a plane: 4 for quads
  uint32_t even_quads_ = 0;                  // planes of quads that start at a multiple of four
  AlignedArray<uint32_t> between_;           // c / 4 for the other channels c at which quads start, by c % 4, then by c
  uint32_t between_ends_[kDotCells] = {};    // [c % 4]: where those in `between_` end
  AlignedArray<uint32_t> plane_of_channel_;  // of the quad that starts at a channel
  AlignedArray<int32_t> starts_;             // what the sum of a row starts from
  AlignedArray<uint32_t> offsets_;           // of operands (quads) or cells (planes), bytes
  AlignedArray<uint32_t> operand_begins_;
};

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_CONV2D_INT8_CONV2D_INT8_H_
