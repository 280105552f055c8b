// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_KERNELS_SIMD_SSE2_H_
#define TFPRUNE_KERNELS_SIMD_SSE2_H_

#include <emmintrin.h>

#include "tflite_ops/kernels/simd/simd.h"

namespace tfprune {
namespace sse2 {
namespace {

struct Simd {
  using Vector = __m128;
  using Mask = __m128;
  static constexpr int kLanes = 4;
  static constexpr int kRegisters = 16;
  static constexpr bool kTilesOfAnyHeight = false;
  static constexpr bool kSparesMaskedMemory = false;
  static Vector Set(float value) { return _mm_set1_ps(value); }
  static Vector Load(const float* p) { return _mm_loadu_ps(p); }
  static void Store(float* p, Vector v) { _mm_storeu_ps(p, v); }
  static TFPRUNE_INLINE Vector InRegister(Vector v) {
    __asm__("" : "+x"(v));
    return v;
  }
  static Vector Add(Vector a, Vector b) { return _mm_add_ps(a, b); }
  static Vector Divide(Vector a, Vector b) { return _mm_div_ps(a, b); }
  static Vector Multiply(Vector a, Vector b) { return _mm_mul_ps(a, b); }
  static Vector MultiplyAdd(Vector acc, Vector a, Vector b) { return _mm_add_ps(acc, _mm_mul_ps(a, b)); }
  // max and min return their second operand where one is NaN.
  static Vector Max(Vector a, Vector b) { return _mm_max_ps(a, b); }
  static Vector Clamp(Vector v, Vector low, Vector high) { return _mm_min_ps(high, _mm_max_ps(low, v)); }

  static Mask MakeMask(int begin, int end) {
    const __m128i lane = _mm_setr_epi32(0, 1, 2, 3);
    return _mm_castsi128_ps(
        _mm_andnot_si128(_mm_cmplt_epi32(lane, _mm_set1_epi32(begin)), _mm_cmplt_epi32(lane, _mm_set1_epi32(end))));
  }
  static Vector LoadMasked(const float* p, Mask mask) { return _mm_and_ps(_mm_loadu_ps(p), mask); }
  static Vector Select(Mask mask, Vector a, Vector b) { return _mm_or_ps(_mm_and_ps(mask, a), _mm_andnot_ps(mask, b)); }

  struct Pair {
    Vector even, odd;
  };
  struct PairMask {
    Mask low, high;
  };
  static Pair Split(Vector low, Vector high) {
    return {_mm_shuffle_ps(low, high, _MM_SHUFFLE(2, 0, 2, 0)), _mm_shuffle_ps(low, high, _MM_SHUFFLE(3, 1, 3, 1))};
  }
  static PairMask MakePairMask(int begin, int end) {
    return {MakeMask(begin, end), MakeMask(begin - kLanes, end - kLanes)};
  }
  static Pair LoadPair(const float* p) { return Split(Load(p), Load(p + kLanes)); }
  static Pair LoadPairMasked(const float* p, PairMask mask) {
    return Split(LoadMasked(p, mask.low), LoadMasked(p + kLanes, mask.high));
  }
  static void StorePairOrder(float* p, Vector v) { Store(p, v); }

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
}  // namespace sse2
}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_SIMD_SSE2_H_
