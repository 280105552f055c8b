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

// Columns at stride 2: two loads are split once, and the columns that further taps see are shifted in from the four
// floats behind them.
template <typename S, int kKernel>
struct ShiftedPairs {
  static_assert(kKernel == 3 || kKernel == 5, "shifts by one and two lanes");
  using V = typename S::Vector;

  struct Mask {
    typename S::Mask low, high;
    __mmask8 next;
    void Set(int begin, int end) {
      low = S::MakeMask(begin, end);
      high = S::MakeMask(begin - S::kLanes, end - S::kLanes);
      next = static_cast<__mmask8>(BitsBetween<4>(begin - 2 * S::kLanes, end - 2 * S::kLanes));
    }
  };

  static TFPRUNE_INLINE void Split(V low, V high, V next, V (&x)[kKernel]) {
    x[0] = S::EverySecond(low, high, 0);
    x[1] = S::EverySecond(low, high, 1);
    x[2] = S::ShiftIn(x[0], next, 1, 0);
    if constexpr (kKernel == 5) {
      x[3] = S::ShiftIn(x[1], next, 1, 1);
      x[4] = S::ShiftIn(x[0], next, 2, 0);
    }
  }

  static TFPRUNE_INLINE void Load(const float* p, V (&x)[kKernel]) {
    Split(S::Load(p), S::Load(p + S::kLanes), S::LoadFour(p + 2 * S::kLanes), x);
  }

  static TFPRUNE_INLINE void LoadMasked(const float* p, const Mask& mask, V (&x)[kKernel]) {
    Split(S::LoadMasked(p, mask.low), S::LoadMasked(p + S::kLanes, mask.high),
          S::LoadFourMasked(p + 2 * S::kLanes, mask.next), x);
  }
};

struct Simd {
  using Vector = __m512;
  using Mask = __mmask16;
  static constexpr int kLanes = 16;
  static constexpr int kRegisters = 32;
  static constexpr bool kTilesOfAnyHeight = false;
  static constexpr bool kSparesMaskedMemory = true;
  static constexpr Mask kAll = 0xFFFF;
  static Vector Set(float value) { return _mm512_set1_ps(value); }
  static Vector Load(const float* p) { return _mm512_loadu_ps(p); }
  static void Store(float* p, Vector v) { _mm512_storeu_ps(p, v); }
  static TFPRUNE_INLINE Vector InRegister(Vector v) {
    __asm__("" : "+v"(v));
    return v;
  }
  static Vector Add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static Vector Divide(Vector a, Vector b) { return _mm512_div_ps(a, b); }
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

  // Lane i of the two vectors, those of `low` first, at places first + 2 * i.
  static TFPRUNE_INLINE Vector EverySecond(Vector low, Vector high, int first) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(low, _mm512_add_epi32(even, _mm512_set1_epi32(first)), high);
  }
  // Lanes by..15 of v, then every second lane of `next` from `first` on.
  static TFPRUNE_INLINE Vector ShiftIn(Vector v, Vector next, int by, int first) {
    const int a = first + 16, b = first + 18;
    const __m512i one = _mm512_setr_epi32(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, a);
    const __m512i two = _mm512_setr_epi32(2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, a, b);
    return _mm512_permutex2var_ps(v, by == 1 ? one : two, next);
  }
  static Vector LoadFour(const float* p) { return _mm512_castps128_ps512(_mm_loadu_ps(p)); }
  static Vector LoadFourMasked(const float* p, __mmask8 mask) {
    return _mm512_castps128_ps512(_mm_maskz_loadu_ps(mask, p));
  }
  template <int kKernel>
  using Pairs = ShiftedPairs<Simd, kKernel>;
  static void StorePairOrder(float* p, Vector v) { Store(p, v); }

  template <int kCount>
  using Weights = BroadcastWeights<Simd, kCount>;
};

// Eight lanes with masks and 32 registers: for images too narrow for sixteen.
struct HalfSimd {
  using Vector = __m256;
  using Mask = __mmask8;
  static constexpr int kLanes = 8;
  static constexpr int kRegisters = 32;
  static constexpr bool kTilesOfAnyHeight = false;
  static constexpr bool kSparesMaskedMemory = true;
  static Vector Set(float value) { return _mm256_set1_ps(value); }
  static Vector Load(const float* p) { return _mm256_loadu_ps(p); }
  static void Store(float* p, Vector v) { _mm256_storeu_ps(p, v); }
  static TFPRUNE_INLINE Vector InRegister(Vector v) {
    __asm__("" : "+v"(v));
    return v;
  }
  static Vector Add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  static Vector Divide(Vector a, Vector b) { return _mm256_div_ps(a, b); }
  static Vector Multiply(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
  static Vector MultiplyAdd(Vector acc, Vector a, Vector b) { return _mm256_fmadd_ps(a, b, acc); }
  static Vector Max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
  static Vector Clamp(Vector v, Vector low, Vector high) { return _mm256_min_ps(high, _mm256_max_ps(low, v)); }

  static Mask MakeMask(int begin, int end) { return static_cast<Mask>(BitsBetween<8>(begin, end)); }
  static Vector LoadMasked(const float* p, Mask mask) { return _mm256_maskz_loadu_ps(mask, p); }
  static Vector Select(Mask mask, Vector a, Vector b) { return _mm256_mask_blend_ps(mask, b, a); }

  static TFPRUNE_INLINE Vector EverySecond(Vector low, Vector high, int first) {
    const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
    return _mm256_permutex2var_ps(low, _mm256_add_epi32(even, _mm256_set1_epi32(first)), high);
  }
  static TFPRUNE_INLINE Vector ShiftIn(Vector v, Vector next, int by, int first) {
    const int a = first + 8, b = first + 10;
    const __m256i one = _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, a), two = _mm256_setr_epi32(2, 3, 4, 5, 6, 7, a, b);
    return _mm256_permutex2var_ps(v, by == 1 ? one : two, next);
  }
  static Vector LoadFour(const float* p) { return _mm256_castps128_ps256(_mm_loadu_ps(p)); }
  static Vector LoadFourMasked(const float* p, __mmask8 mask) {
    return _mm256_castps128_ps256(_mm_maskz_loadu_ps(mask, p));
  }
  template <int kKernel>
  using Pairs = ShiftedPairs<HalfSimd, kKernel>;
  static void StorePairOrder(float* p, Vector v) { Store(p, v); }

  template <int kCount>
  using Weights = BroadcastWeights<HalfSimd, kCount>;
};

}  // namespace
}  // namespace avx512
}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_SIMD_AVX512_H_
