// SPDX-License-Identifier: Apache-2.0
// Constants of float32 that a graph stores as such or, as files in half precision do, as halves behind a DEQUANTIZE.
#ifndef TFPRUNE_OPS_FLOAT_CONSTANTS_H_
#define TFPRUNE_OPS_FLOAT_CONSTANTS_H_

#include "tensorflow/lite/core/c/common.h"
#include "tflite_ops/base/memory.h"

namespace tfprune {

// Whether the node does nothing but to widen a constant of halves.
bool WidensConstant(TfLiteContext* context, int node);

class FloatConstants {
 public:
  // Reads nodes, among which must be those that write the tensors that are asked for. False without memory.
  bool Read(TfLiteContext* context, const TfLiteIntArray& nodes);

  // The constant of float32 or float16 whose values `tensor` has; -1 where it is no such constant.
  int StoredAs(int tensor) const;

 private:
  const TfLiteContext* context_ = nullptr;
  AlignedArray<int> halves_;  // by the tensor that a DEQUANTIZE writes: the one that it reads, counted from 1
};

// The values of such constants as float32: where they are stored, or widened into memory of its own.
class FloatValues {
 public:
  // How many values must be widened; 0 for -1.
  static size_t HalvesIn(const TfLiteContext& context, int stored);

  // Makes room for `halves` widened values in all. False without memory.
  bool Reserve(size_t halves) { return room_.Reserve(halves + 1); }

  // Null for -1.
  const float* Of(const TfLiteContext& context, int stored);

 private:
  AlignedArray<float> room_;
  size_t used_ = 0;
};

}  // namespace tfprune

#endif  // TFPRUNE_OPS_FLOAT_CONSTANTS_H_
