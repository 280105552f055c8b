// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "tflite_ops/kernels/depthwise/depthwise.h"
#include "tflite_ops/kernels/depthwise/lines.h"
#include "tflite_ops/kernels/simd/neon.h"

namespace tfprune {
namespace neon {
namespace {

using Narrow = Simd;

#include "tflite_ops/kernels/depthwise/generic.h"

}  // namespace

DepthwiseKernel GetDepthwiseKernel(const DepthwiseShape& shape) {
  return KernelFor(shape, {"depthwise_3x3_s1/neon", "depthwise_3x3_s2/neon", "depthwise_5x5_s1/neon",
                           "depthwise_5x5_s2/neon", "depthwise_any/neon"});
}

}  // namespace neon
}  // namespace tfprune
