// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution on planes: rows of one channel in, rows of one channel out, many channels a call.
//
// Contract. For each channel c < channels and each output row oy in [out_first, out_first + out_count), 0 <= ox <
// out_width:
//
//     y[c][oy][ox] = min(max(bias[c] + sum_{ky, kx} weights[c][ky * kernel_w + kx]
//                            * x[c][oy * stride_h + ky * dilation_h - pad_top]
//                                  [ox * stride_w + kx * dilation_w - pad_left], low), high)
//
// x is zero outside the image; a NaN passes through the clamp. The order of the sum depends on the shape and the
// instruction set only, never on the rows or channels asked for in one call.
//
// Input row r of channel c starts at `rows[r - in_first] + c * in_stride`; there must be a pointer for every row of the
// image that a wanted output row reads, [in_first, in_first + in_count). Output row r of channel c starts at
// `out + c * out_stride + (r - out_first) * out_width`. All strides are in floats.
//
// Up to kDepthwiseReach floats before and behind an input row may be read; they must be
// readable and have no bearing on the result, whatever they hold. Up to kMaxLanes - 1 floats behind the last output row
// of a channel may be overwritten, before later channels of the same call are written. `in`, `out`, `weights`, `bias`
// and `scratch` do not overlap. No alignment is asked for.
#ifndef TFPRUNE_KERNELS_DEPTHWISE_DEPTHWISE_H_
#define TFPRUNE_KERNELS_DEPTHWISE_DEPTHWISE_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/arch.h"
#include "tflite_ops/kernels/planar/planar.h"

namespace tfprune {

constexpr size_t kDepthwiseReach = 32;  // floats

// All sizes are at least 1, and kernels, strides, dilations and paddings small enough for every position to fit 31
// bits.
struct DepthwiseShape {
  uint32_t in_height, in_width, out_height, out_width;
  uint32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
  uint32_t pad_top, pad_left;
};

struct DepthwiseArgs {
  uint32_t channels;
  const float* const* rows;
  size_t in_stride;
  uint32_t in_first, in_count;
  float* out;
  size_t out_stride;
  uint32_t out_first, out_count;
  const float* weights;  // [channels][kernel_h * kernel_w]
  const float* bias;     // [channels], or nullptr for zeros
  float low, high;       // infinities where there is no clamp
  float* scratch;        // DepthwiseScratchFloats(shape) floats of any content
};

struct DepthwiseKernel {
  const char* name;  // "depthwise_3x3_s1/avx512"
  void (*run)(const DepthwiseShape& shape, const DepthwiseArgs& args);
};

// The kernel for `shape` on `arch`, which must be supported; kReference gives the plain loops.
DepthwiseKernel GetDepthwiseKernel(Arch arch, const DepthwiseShape& shape);

// Scratch that any kernel for `shape` needs.
size_t DepthwiseScratchFloats(const DepthwiseShape& shape);

// The formula as plain loops: the oracle of every other variant.
void ReferenceDepthwise(const DepthwiseShape& shape, const DepthwiseArgs& args);

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_DEPTHWISE_DEPTHWISE_H_
