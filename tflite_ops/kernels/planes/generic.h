// SPDX-License-Identifier: Apache-2.0
// The plane kernels of one instruction set `Simd`. An ISA file includes this once, in its own namespace and an unnamed
// one inside it, so code built with different compiler flags never meets in the linker.
//
// No include guard on purpose.

#include "tflite_ops/kernels/planes/pool.h"

inline float ClampOne(float value, float low, float high) {
  const float raised = value < low ? low : value;
  return raised > high ? high : raised;
}

template <typename S>
void Add(const float* a, const float* b, size_t count, float low, float high, float* out) {
  const typename S::Vector lowest = S::Set(low), highest = S::Set(high);
  size_t i = 0;
  for (; i + S::kLanes <= count; i += S::kLanes) {
    S::Store(out + i, S::Clamp(S::Add(S::Load(a + i), S::Load(b + i)), lowest, highest));
  }
  for (; i < count; ++i) out[i] = ClampOne(a[i] + b[i], low, high);
}

// Four vectors of partial sums, added pairwise in the end, lanes too; the values behind the last full vector come last.
template <typename S>
float SumOf(const float* x, size_t count) {
  constexpr size_t kLanes = S::kLanes;
  typename S::Vector sum[4];
  for (int v = 0; v < 4; ++v) sum[v] = S::Set(0.0f);
  size_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (size_t v = 0; v < 4; ++v) sum[v] = S::Add(sum[v], S::Load(x + i + v * kLanes));
  }
  for (; i + kLanes <= count; i += kLanes) sum[0] = S::Add(sum[0], S::Load(x + i));
  float lanes[kLanes];
  S::Store(lanes, S::Add(S::Add(sum[0], sum[1]), S::Add(sum[2], sum[3])));
  for (size_t half = kLanes / 2; half > 0; half /= 2) {
    for (size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  float total = lanes[0];
  for (; i < count; ++i) total += x[i];
  return total;
}

template <typename S>
void Mean(const float* x, size_t stride, size_t count, uint32_t channels, float low, float high, float* out) {
  for (uint32_t c = 0; c < channels; ++c) {
    out[c] = ClampOne(SumOf<S>(x + c * stride, count) / static_cast<float>(count), low, high);
  }
}

inline PlaneKernels KernelsNamed(const char* name) {
  return {name, Add<Simd>, Mean<Simd>, RunPool<Simd, Maximum>, RunPool<Simd, Sum>};
}
