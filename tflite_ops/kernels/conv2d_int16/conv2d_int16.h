// SPDX-License-Identifier: Apache-2.0
// Sparse 2D convolution with 16-bit arithmetic on NHWC tensors, for the quantised layers that have no int8 kernels:
// int16 activations, uint8 ones, and int8 weights with a zero point; a fully-connected layer is a 1x1 convolution over
// `batch` pixels. The meaning is that of docs/formats.md, "Integers": exact sums of (x - zero_in) * (w - zero_w) and
// the bias, brought to the output by a formula that follows from activation type, rounding, op and type of the bias.
//
// The plan is that of conv2d.h on planes of int16. Weights are widened when the layer is prepared: they, and inputs
// less their zero point, are then operands of a 16-bit multiply-add, two columns at a time. Sums have 32 bits; where
// those of a row could overflow, lines are summed in pieces that cannot, and the pieces in 64 bits.
#ifndef TFPRUNE_KERNELS_CONV2D_INT16_CONV2D_INT16_H_
#define TFPRUNE_KERNELS_CONV2D_INT16_CONV2D_INT16_H_

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
#include "tflite_ops/kernels/planar_int16/planar_int16.h"

namespace tfprune {

// Bias of a layer with quantised activations; `data` is null where there is none.
struct IntegerBias {
  const void* data = nullptr;
  bool wide = false;  // int64 instead of int32
};

// Whether the weights are for Int16Conv2DPlan.
inline bool NeedsInt16(const PackedWeights& w) {
  return w.activation_type == ActivationType::kInt16 || w.activation_type == ActivationType::kUInt8 ||
         (w.activation_type == ActivationType::kInt8 && w.weight_zero_point != 0);
}

// The multiplier `m` in [2^30, 2^31) and shift with `factor ~ m * 2^(shift - 31)`, as LiteRT finds them; 0 and 0 for
// factors below 2^-32. `factor` must be finite and at least 0.
void QuantizeMultiplier(double factor, int32_t* multiplier, int32_t* shift);

// What each output channel needs beside its weights, computed once.
struct Int16Channels {
  OutputRange range = {};
  AlignedArray<RowRule> rules;  // [out_channels]
  bool wide = false;            // sums of 32 bits could overflow
};

// Fails where the stock op has no meaning that could be matched (an int16 convolution with an int32 bias), where sums
// could leave what their formula holds, and where scales are too far apart. `rounds_twice`: see RoundsTwice.
Status PrepareChannels(const PackedWeights& weights, const IntegerBias& bias, bool rounds_twice,
                       Int16Channels* channels);

// Whether LiteRT's matrix product of so many output pixels rounds twice on this machine: its kernels for AVX2 and up
// do, and those of Arm for eight bits and a single pixel. Others round once.
bool RoundsTwice(const PackedWeights& weights, size_t pixels);

// Input number `at`.
inline int32_t InputAt(ActivationType type, const void* x, size_t at) {
  if (type == ActivationType::kInt16) return static_cast<const int16_t*>(x)[at];
  return type == ActivationType::kInt8 ? static_cast<const int8_t*>(x)[at] : static_cast<const uint8_t*>(x)[at];
}

// The layer as plain loops: the oracle of every other variant. False where there is no memory.
bool ReferenceInt16Conv2D(const PackedWeights& weights, const Int16Channels& channels, const ConvShape& shape,
                          const void* x, void* y);

// Everything about one layer and one input shape that can be decided before data arrive.
class Int16Conv2DPlan {
 public:
  // `weights` must outlive the plan; the bias is copied. Works through `arch`, which must be supported, with up to
  // `threads` threads.
  Status Prepare(const PackedWeights& weights, const IntegerBias& bias, const ImageSize& in, Arch arch,
                 uint32_t threads);

  // Computes `y` from `x`, both uint8 or both int16. False where there is no memory for scratch. Plans may run
  // concurrently with own workspaces.
  bool Run(const void* x, void* y, ThreadPool* pool, Workspace* workspace) const;

  const ConvShape& shape() const { return shape_; }
  const char* kernel_name() const {
    return kernels_.sums == nullptr ? "reference_int16" : single_ ? kernels_.pixel_name : kernels_.name;
  }
  WeightBytes weight_bytes() const;

 private:
  struct Job;
  struct Slot;
  struct Tile;

  Status WidenWeights();
  Status PrepareOffsets();
  size_t SlotBytes() const;
  void FillPlanes(const Job& job, const StripTask& strip, uint8_t* planes) const;
  void FillPixels(const uint8_t* in, size_t in_stride, size_t count, uint8_t* out) const;
  void RunTask(const Job& job, size_t task, uint32_t slot) const;
  void RunBands(const StripTask& strip, Tile* tile) const;
  void RunSlidingRows(const StripTask& strip, Tile* tile) const;
  void AddLine(uint32_t line, uint32_t first, uint32_t rows, const Tile& tile) const;
  void AddPieces(Int16SumArgs args, const Tile& tile) const;
  void Finish(uint32_t row, uint32_t place, Tile* tile) const;
  void Flush(Tile* tile) const;
  void ClearSums(uint32_t place, uint32_t rows, const Tile& tile) const;

  const PackedWeights* weights_ = nullptr;
  PackedWeights single_rows_;              // what blocks run as
  const PackedWeights* blocks_ = nullptr;  // which
  ConvShape shape_ = {};
  Int16KernelSet kernels_ = {};
  Int16Channels channels_;
  StripPlan strips_;
  bool single_ = false;  // pixel by pixel: too few of them for a tile
  uint32_t threads_ = 1;
  uint32_t value_bytes_ = 2;  // of inputs and outputs
  AlignedArray<int16_t> wide_weights_;
  AlignedArray<size_t> weight_begins_;  // [line_count + 1], in wide_weights_
  AlignedArray<uint32_t> pair_begins_;  // [line_count + 1]
  AlignedArray<uint32_t> offsets_;      // two a pair, bytes
};

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_CONV2D_INT16_CONV2D_INT16_H_
