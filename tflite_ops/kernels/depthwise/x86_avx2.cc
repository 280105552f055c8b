// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "tflite_ops/kernels/depthwise/depthwise.h"
#include "tflite_ops/kernels/depthwise/lines.h"
#include "tflite_ops/kernels/simd/avx2.h"

namespace tfprune {
namespace avx2 {
namespace {

using Narrow = Simd;

#include "tflite_ops/kernels/depthwise/generic.h"

}  // namespace

DepthwiseKernel GetDepthwiseKernel(const DepthwiseShape& shape) {
  return KernelFor(shape, {"depthwise_3x3_s1/avx2", "depthwise_3x3_s2/avx2", "depthwise_5x5_s1/avx2",
                           "depthwise_5x5_s2/avx2", "depthwise_any/avx2"});
}

}  // namespace avx2
}  // namespace tfprune
