// SPDX-License-Identifier: Apache-2.0
// Quantisation of float activations at run time, as XNNPACK's qd8 operators do it: asymmetric, to -128 .. 127.
#ifndef TFPRUNE_KERNELS_CONV2D_INT8_QUANTIZE_H_
#define TFPRUNE_KERNELS_CONV2D_INT8_QUANTIZE_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/rounding.h"

namespace tfprune {

// A real number is `(quantised - zero_point) * scale`, and quantised is `clip(rint(real * factor) + zero_point)`.
struct QuantizedRange {
  float scale, factor;
  int32_t zero_point;
};

// The smallest and the largest of `count` floats and of 0. NaN is skipped.
void FindRange(const float* x, size_t count, float* low, float* high);

// The quantisation of values in [low, high], which must contain 0. Where the range is not finite, everything
// quantises to the zero point.
QuantizedRange RangeOf(float low, float high);

// Writes `count` bytes; NaN becomes the zero point's neighbour or the zero point, never a fault.
void Quantize(const float* x, size_t count, const QuantizedRange& range, int8_t* out);

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_CONV2D_INT8_QUANTIZE_H_
