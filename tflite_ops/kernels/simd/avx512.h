// SPDX-License-Identifier: Apache-2.0
// GCC 12's plain forms of some intrinsics warn about a value of their own that is not initialised: the maskz forms with
// a full mask stand in for them.
#ifndef TFPRUNE_KERNELS_SIMD_AVX512_H_
#define TFPRUNE_KERNELS_SIMD_AVX512_H_

#include <immintrin.h>

#include "tflite_ops/kernels/simd/simd.h"

namespace tfprune {
namespace avx512 {
namespace {

// Bits [begin, end) of at most `kBits`.
template <int kBits>
TFPRUNE_INLINE uint32_t BitsBetween(int begin, int end) {
  begin = begin < 0 ? 0 : begin > kBits ? kBits : begin;
  end = end < begin ? begin : end > kBits ? kBits : end;
  return static_cast<uint32_t>((uint64_t{1} << end) - (uint64_t{1} << begin));
}

template <typename S, int kCount>
struct BroadcastWeights {
  typename S::Vector value[kCount];
  TFPRUNE_INLINE void Read(const float* p) {
#pragma GCC unroll 32
    for (int i = 0; i < kCount; ++i) value[i] = S::Set(p[i]);
  }
  template <int kIndex>
  TFPRUNE_INLINE typename S::Vector MultiplyAdd(typename S::Vector acc, typename S::Vector x) const {
    return S::MultiplyAdd(acc, x, value[kIndex]);
  }
};

struct Simd {
  using Vector = __m512;
  using Mask = __mmask16;
  static constexpr int kLanes = 16;
  static constexpr bool kSparesMaskedMemory = true;
  static constexpr Mask kAll = 0xFFFF;
  static Vector Set(float value) { return _mm512_set1_ps(value); }
  static Vector Load(const float* p) { return _mm512_loadu_ps(p); }
  static void Store(float* p, Vector v) { _mm512_storeu_ps(p, v); }
  static Vector Add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static Vector Multiply(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
  static Vector MultiplyAdd(Vector acc, Vector a, Vector b) { return _mm512_fmadd_ps(a, b, acc); }
  // max and min return their second operand where one is NaN.
  static Vector Max(Vector a, Vector b) { return _mm512_maskz_max_ps(kAll, a, b); }
  static Vector Clamp(Vector v, Vector low, Vector high) {
    return _mm512_maskz_min_ps(kAll, high, _mm512_maskz_max_ps(kAll, low, v));
  }

  static Mask MakeMask(int begin, int end) { return static_cast<Mask>(BitsBetween<16>(begin, end)); }
  static Vector LoadMasked(const float* p, Mask mask) { return _mm512_maskz_loadu_ps(mask, p); }
  static Vector Select(Mask mask, Vector a, Vector b) { return _mm512_mask_blend_ps(mask, b, a); }

  struct Pair {
    Vector even, odd;
  };
  struct PairMask {
    Mask low, high;
  };
  static Vector Even(Vector low, Vector high) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(low, even, high);
  }
  static Vector Odd(Vector low, Vector high) {
    const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_permutex2var_ps(low, odd, high);
  }
  static PairMask MakePairMask(int begin, int end) {
    return {MakeMask(begin, end), MakeMask(begin - kLanes, end - kLanes)};
  }
  static Pair LoadPair(const float* p) {
    const Vector low = Load(p), high = Load(p + kLanes);
    return {Even(low, high), Odd(low, high)};
  }
  static Pair LoadPairMasked(const float* p, PairMask mask) {
    const Vector low = LoadMasked(p, mask.low), high = LoadMasked(p + kLanes, mask.high);
    return {Even(low, high), Odd(low, high)};
  }
  static Vector LoadEven(const float* p) { return Even(Load(p), Load(p + kLanes)); }
  static Vector LoadEvenMasked(const float* p, PairMask mask) {
    return Even(LoadMasked(p, mask.low), LoadMasked(p + kLanes, mask.high));
  }
  static void StorePairOrder(float* p, Vector v) { Store(p, v); }

  template <int kCount>
  using Weights = BroadcastWeights<Simd, kCount>;
};

// Eight lanes with masks and 32 registers: for images too narrow for sixteen.
struct HalfSimd {
  using Vector = __m256;
  using Mask = __mmask8;
  static constexpr int kLanes = 8;
  static constexpr bool kSparesMaskedMemory = true;
  static Vector Set(float value) { return _mm256_set1_ps(value); }
  static Vector Load(const float* p) { return _mm256_loadu_ps(p); }
  static void Store(float* p, Vector v) { _mm256_storeu_ps(p, v); }
  static Vector Add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  static Vector Multiply(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
  static Vector MultiplyAdd(Vector acc, Vector a, Vector b) { return _mm256_fmadd_ps(a, b, acc); }
  static Vector Max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
  static Vector Clamp(Vector v, Vector low, Vector high) { return _mm256_min_ps(high, _mm256_max_ps(low, v)); }

  static Mask MakeMask(int begin, int end) { return static_cast<Mask>(BitsBetween<8>(begin, end)); }
  static Vector LoadMasked(const float* p, Mask mask) { return _mm256_maskz_loadu_ps(mask, p); }
  static Vector Select(Mask mask, Vector a, Vector b) { return _mm256_mask_blend_ps(mask, b, a); }

  struct Pair {
    Vector even, odd;
  };
  struct PairMask {
    Mask low, high;
  };
  static Vector Even(Vector low, Vector high) {
    return _mm256_permutex2var_ps(low, _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14), high);
  }
  static Vector Odd(Vector low, Vector high) {
    return _mm256_permutex2var_ps(low, _mm256_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15), high);
  }
  static PairMask MakePairMask(int begin, int end) {
    return {MakeMask(begin, end), MakeMask(begin - kLanes, end - kLanes)};
  }
  static Pair LoadPair(const float* p) {
    const Vector low = Load(p), high = Load(p + kLanes);
    return {Even(low, high), Odd(low, high)};
  }
  static Pair LoadPairMasked(const float* p, PairMask mask) {
    const Vector low = LoadMasked(p, mask.low), high = LoadMasked(p + kLanes, mask.high);
    return {Even(low, high), Odd(low, high)};
  }
  static Vector LoadEven(const float* p) { return Even(Load(p), Load(p + kLanes)); }
  static Vector LoadEvenMasked(const float* p, PairMask mask) {
    return Even(LoadMasked(p, mask.low), LoadMasked(p + kLanes, mask.high));
  }
  static void StorePairOrder(float* p, Vector v) { Store(p, v); }

  template <int kCount>
  using Weights = BroadcastWeights<HalfSimd, kCount>;
};

}  // namespace
}  // namespace avx512
}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_SIMD_AVX512_H_
