// SPDX-License-Identifier: Apache-2.0
// Sizes of the parts of scratch.
#ifndef TFPRUNE_KERNELS_DEPTHWISE_LINES_H_
#define TFPRUNE_KERNELS_DEPTHWISE_LINES_H_

#include "tflite_ops/kernels/depthwise/depthwise.h"

namespace tfprune {

// Floats of one padded line of one phase of the stride.
inline size_t DepthwiseLineFloats(const DepthwiseShape& s) {
  return size_t{s.out_width} + size_t{s.kernel_w - 1} * s.dilation_w / s.stride_w + kMaxLanes;
}

inline size_t DepthwiseSumFloats(const DepthwiseShape& s) { return size_t{s.out_width} + kMaxLanes; }

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_DEPTHWISE_LINES_H_
