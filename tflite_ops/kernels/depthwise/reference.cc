// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/depthwise/depthwise.h"

namespace tfprune {
namespace {

float SumOfTaps(const DepthwiseShape& s, const DepthwiseArgs& a, uint32_t channel, uint32_t oy, uint32_t ox) {
  const float* weights = a.weights + size_t{channel} * s.kernel_h * s.kernel_w;
  float sum = a.bias == nullptr ? 0.0f : a.bias[channel];
  for (uint32_t ky = 0; ky < s.kernel_h; ++ky) {
    const int64_t iy = int64_t{oy} * s.stride_h + int64_t{ky} * s.dilation_h - s.pad_top;
    if (iy < 0 || iy >= s.in_height) continue;
    const float* row = a.rows[iy - a.in_first] + channel * a.in_stride;
    for (uint32_t kx = 0; kx < s.kernel_w; ++kx) {
      const int64_t ix = int64_t{ox} * s.stride_w + int64_t{kx} * s.dilation_w - s.pad_left;
      if (ix < 0 || ix >= s.in_width) continue;
      sum += weights[ky * s.kernel_w + kx] * row[ix];
    }
  }
  return sum;
}

}  // namespace

void ReferenceDepthwise(const DepthwiseShape& shape, const DepthwiseArgs& a) {
  for (uint32_t c = 0; c < a.channels; ++c) {
    float* out = a.out + c * a.out_stride;
    for (uint32_t y = 0; y < a.out_count; ++y) {
      for (uint32_t x = 0; x < shape.out_width; ++x) {
        const float sum = SumOfTaps(shape, a, c, a.out_first + y, x);
        const float raised = sum < a.low ? a.low : sum;
        *out++ = raised > a.high ? a.high : raised;
      }
    }
  }
}

}  // namespace tfprune
