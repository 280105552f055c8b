// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_KERNELS_SIMD_AVX2_H_
#define TFPRUNE_KERNELS_SIMD_AVX2_H_

#include <immintrin.h>

#include "tflite_ops/kernels/simd/simd.h"

namespace tfprune {
namespace avx2 {
namespace {

struct Simd {
  using Vector = __m256;
  using Mask = __m256;
  static constexpr int kLanes = 8;
  static constexpr int kRegisters = 16;
  static constexpr bool kTilesOfAnyHeight = false;
  static constexpr bool kSparesMaskedMemory = false;
  static Vector Set(float value) { return _mm256_set1_ps(value); }
  static Vector Load(const float* p) { return _mm256_loadu_ps(p); }
  static void Store(float* p, Vector v) { _mm256_storeu_ps(p, v); }
  static TFPRUNE_INLINE Vector InRegister(Vector v) {
    __asm__("" : "+x"(v));
    return v;
  }
  static Vector Add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  static Vector Divide(Vector a, Vector b) { return _mm256_div_ps(a, b); }
  static Vector Multiply(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
  static Vector MultiplyAdd(Vector acc, Vector a, Vector b) { return _mm256_fmadd_ps(a, b, acc); }
  // max and min return their second operand where one is NaN.
  static Vector Max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
  static Vector Clamp(Vector v, Vector low, Vector high) { return _mm256_min_ps(high, _mm256_max_ps(low, v)); }

  static Mask MakeMask(int begin, int end) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_castsi256_ps(_mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(begin), lane),
                                                   _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane)));
  }
  static Vector LoadMasked(const float* p, Mask mask) { return _mm256_and_ps(_mm256_loadu_ps(p), mask); }
  static Vector Select(Mask mask, Vector a, Vector b) { return _mm256_blendv_ps(b, a, mask); }

  // Pair order: 0 1 4 5 2 3 6 7, what one shuffle inside the 128-bit halves gives.
  struct Pair {
    Vector even, odd;
  };
  struct PairMask {
    Mask low, high;
  };
  static Pair Split(Vector low, Vector high) {
    return {_mm256_shuffle_ps(low, high, _MM_SHUFFLE(2, 0, 2, 0)),
            _mm256_shuffle_ps(low, high, _MM_SHUFFLE(3, 1, 3, 1))};
  }
  static PairMask MakePairMask(int begin, int end) {
    return {MakeMask(begin, end), MakeMask(begin - kLanes, end - kLanes)};
  }
  static Pair LoadPair(const float* p) { return Split(Load(p), Load(p + kLanes)); }
  static Pair LoadPairMasked(const float* p, PairMask mask) {
    return Split(LoadMasked(p, mask.low), LoadMasked(p + kLanes, mask.high));
  }
  static void StorePairOrder(float* p, Vector v) {
    Store(p, _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), _MM_SHUFFLE(3, 1, 2, 0))));
  }

  template <int kKernel>
  using Pairs = SplitPairs<Simd, kKernel>;

  template <int kCount>
  struct Weights {
    Vector value[kCount];
    TFPRUNE_INLINE void Read(const float* p) {
#pragma GCC unroll 32
      for (int i = 0; i < kCount; ++i) value[i] = Set(p[i]);
    }
    template <int kIndex>
    TFPRUNE_INLINE Vector MultiplyAdd(Vector acc, Vector x) const {
      return Simd::MultiplyAdd(acc, x, value[kIndex]);
    }
  };
};

}  // namespace
}  // namespace avx2
}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_SIMD_AVX2_H_
