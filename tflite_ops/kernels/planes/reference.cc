// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "tflite_ops/kernels/planes/planes.h"

namespace tfprune {
namespace {

float Clamp(float value, float low, float high) {
  const float raised = value < low ? low : value;
  return raised > high ? high : raised;
}

void Add(const float* a, const float* b, size_t count, float low, float high, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = Clamp(a[i] + b[i], low, high);
}

void Mean(const float* x, size_t stride, size_t count, uint32_t channels, float low, float high, float* out) {
  for (uint32_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (size_t i = 0; i < count; ++i) sum += x[c * stride + i];
    out[c] = Clamp(static_cast<float>(sum / static_cast<double>(count)), low, high);
  }
}

float PoolOne(const PoolShape& s, const PoolArgs& a, bool average, const float* plane, uint32_t oy, uint32_t ox) {
  float sum = 0.0f, most = -INFINITY;
  int count = 0;
  for (uint32_t ky = 0; ky < s.kernel_h; ++ky) {
    const int64_t iy = int64_t{oy} * s.stride_h + ky - s.pad_top;
    if (iy < 0 || iy >= s.in_height) continue;
    for (uint32_t kx = 0; kx < s.kernel_w; ++kx) {
      const int64_t ix = int64_t{ox} * s.stride_w + kx - s.pad_left;
      if (ix < 0 || ix >= s.in_width) continue;
      const float value = plane[(iy - a.in_first) * s.in_width + ix];
      sum += value;
      most = value > most ? value : most;
      ++count;
    }
  }
  return average ? sum / static_cast<float>(count) : most;
}

void Pool(const PoolShape& shape, const PoolArgs& a, bool average) {
  for (uint32_t c = 0; c < a.channels; ++c) {
    float* out = a.out + c * a.out_stride;
    for (uint32_t y = 0; y < a.out_count; ++y) {
      for (uint32_t x = 0; x < shape.out_width; ++x) {
        *out++ = Clamp(PoolOne(shape, a, average, a.in + c * a.in_stride, a.out_first + y, x), a.low, a.high);
      }
    }
  }
}

void MaxPool(const PoolShape& shape, const PoolArgs& args) { Pool(shape, args, false); }
void AveragePool(const PoolShape& shape, const PoolArgs& args) { Pool(shape, args, true); }

}  // namespace

PlaneKernels ReferencePlaneKernels() { return {"planes/reference", Add, Mean, MaxPool, AveragePool}; }

}  // namespace tfprune
