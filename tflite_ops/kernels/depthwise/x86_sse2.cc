// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "tflite_ops/kernels/depthwise/depthwise.h"
#include "tflite_ops/kernels/depthwise/lines.h"
#include "tflite_ops/kernels/simd/sse2.h"

namespace tfprune {
namespace sse2 {
namespace {

using Narrow = Simd;

#include "tflite_ops/kernels/depthwise/generic.h"

}  // namespace

DepthwiseKernel GetDepthwiseKernel(const DepthwiseShape& shape) {
  return KernelFor(shape, {"depthwise_3x3_s1/sse2", "depthwise_3x3_s2/sse2", "depthwise_5x5_s1/sse2",
                           "depthwise_5x5_s2/sse2", "depthwise_any/sse2"});
}

}  // namespace sse2
}  // namespace tfprune
