// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "tflite_ops/kernels/depthwise/depthwise.h"
#include "tflite_ops/kernels/depthwise/lines.h"
#include "tflite_ops/kernels/simd/avx512.h"

namespace tfprune {
namespace avx512 {
namespace {

using Narrow = HalfSimd;

#include "tflite_ops/kernels/depthwise/generic.h"

}  // namespace

DepthwiseKernel GetDepthwiseKernel(const DepthwiseShape& shape) {
  return KernelFor(shape, {"depthwise_3x3_s1/avx512", "depthwise_3x3_s2/avx512", "depthwise_5x5_s1/avx512",
                           "depthwise_5x5_s2/avx512", "depthwise_any/avx512"});
}

}  // namespace avx512
}  // namespace tfprune
