// SPDX-License-Identifier: Apache-2.0
#include <emmintrin.h>

#include "tflite_ops/kernels/planar/planar.h"

namespace tfprune {
namespace sse2 {
namespace {

struct Simd {
  using Vector = __m128;
  static constexpr int kLanes = 4;
  static Vector Zero() { return _mm_setzero_ps(); }
  static Vector Set(float value) { return _mm_set1_ps(value); }
  static Vector Load(const float* p) { return _mm_loadu_ps(p); }
  static void Store(float* p, Vector v) { _mm_storeu_ps(p, v); }
  // max and min return their second operand where one is NaN: a NaN passes through, as in the dense op.
  static Vector Clamp(Vector v, Vector low, Vector high) { return _mm_min_ps(high, _mm_max_ps(low, v)); }
  static Vector MultiplyAddOne(Vector acc, Vector x, float weight) {
    return _mm_add_ps(acc, _mm_mul_ps(x, _mm_set1_ps(weight)));
  }

  static Vector LoadPartial(const float* p, size_t n) {
    float lanes[kLanes] = {};
    for (size_t i = 0; i < n; ++i) lanes[i] = p[i];
    return _mm_loadu_ps(lanes);
  }

  static void StorePartial(float* p, Vector v, size_t n) {
    float lanes[kLanes];
    _mm_storeu_ps(lanes, v);
    for (size_t i = 0; i < n; ++i) p[i] = lanes[i];
  }

  static inline __attribute__((always_inline)) void Transpose(Vector* v) { _MM_TRANSPOSE4_PS(v[0], v[1], v[2], v[3]); }

  template <int kRows, int kVectors>
  static inline __attribute__((always_inline)) void MultiplyAdd(Vector (&acc)[kRows][kVectors], const Vector* x,
                                                                const float* weights) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vector weight = _mm_set1_ps(weights[r]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) acc[r][v] = _mm_add_ps(acc[r][v], _mm_mul_ps(x[v], weight));
    }
  }
};

#include "tflite_ops/kernels/planar/generic.h"

}  // namespace

// 16 registers: four rows by two vectors leave room for the inputs and a weight.
KernelSet GetKernels(Encoding encoding, uint32_t group_rows) {
  if (encoding == Encoding::kRowBand) {
    const Kernel single = {"row_band_single/sse2", 1, RowBandPixel};
    if (group_rows == 1) return {RowBand<Simd, 1, 8>("row_band/sse2"), single, ToPlanar<Simd>};
    if (group_rows == 2) return {RowBand<Simd, 2, 4>("row_band/sse2"), single, ToPlanar<Simd>};
    return {RowBand<Simd, 4, 2>("row_band/sse2"), single, ToPlanar<Simd>};
  }
  const Kernel single = {"sliding_row_single/sse2", 1, SlidingPixel};
  switch (group_rows) {
    case 1:
      return {Sliding<Simd, 1, 8>("sliding_row/sse2"), single, ToPlanar<Simd>};
    case 2:
      return {Sliding<Simd, 2, 4>("sliding_row/sse2"), single, ToPlanar<Simd>};
    case 4:
      return {Sliding<Simd, 4, 2>("sliding_row/sse2"), single, ToPlanar<Simd>};
    case 8:
      return {Sliding<Simd, 8, 1>("sliding_row/sse2"), single, ToPlanar<Simd>};
    default:
      return {{"sliding_row_any/sse2", Simd::kLanes, SlidingTileAnyRows<Simd>}, single, ToPlanar<Simd>};
  }
}

}  // namespace sse2
}  // namespace tfprune
