// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_KERNELS_SIMD_NEON_H_
#define TFPRUNE_KERNELS_SIMD_NEON_H_

#include <arm_neon.h>

#include "tflite_ops/kernels/simd/simd.h"

namespace tfprune {
namespace neon {
namespace {

struct Simd {
  using Vector = float32x4_t;
  using Mask = uint32x4_t;
  static constexpr int kLanes = 4;
  static constexpr int kRegisters = 32;
  static constexpr bool kTilesOfAnyHeight = true;
  static constexpr bool kSparesMaskedMemory = false;
  static Vector Set(float value) { return vdupq_n_f32(value); }
  static Vector Load(const float* p) { return vld1q_f32(p); }
  static void Store(float* p, Vector v) { vst1q_f32(p, v); }
  static TFPRUNE_INLINE Vector InRegister(Vector v) {
    __asm__("" : "+w"(v));
    return v;
  }
  static Vector Add(Vector a, Vector b) { return vaddq_f32(a, b); }
  static Vector Divide(Vector a, Vector b) { return vdivq_f32(a, b); }
  static Vector Multiply(Vector a, Vector b) { return vmulq_f32(a, b); }
  static Vector MultiplyAdd(Vector acc, Vector a, Vector b) { return vfmaq_f32(acc, a, b); }
  // Unlike x86's, this one returns NaN where either is NaN.
  static Vector Max(Vector a, Vector b) { return vmaxq_f32(a, b); }
  static Vector Clamp(Vector v, Vector low, Vector high) { return vminq_f32(vmaxq_f32(v, low), high); }

  static Vector And(Vector v, Mask mask) { return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), mask)); }
  // Lanes whose place, `step` apart and counted from `first`, lies in [begin, end).
  static Mask MaskOfPlaces(int begin, int end, int first, int step) {
    const int32_t places[kLanes] = {first, first + step, first + 2 * step, first + 3 * step};
    const int32x4_t place = vld1q_s32(places);
    return vandq_u32(vcgeq_s32(place, vdupq_n_s32(begin)), vcltq_s32(place, vdupq_n_s32(end)));
  }
  static Mask MakeMask(int begin, int end) { return MaskOfPlaces(begin, end, 0, 1); }
  static Vector LoadMasked(const float* p, Mask mask) { return And(vld1q_f32(p), mask); }
  static Vector Select(Mask mask, Vector a, Vector b) { return vbslq_f32(mask, a, b); }

  struct Pair {
    Vector even, odd;
  };
  struct PairMask {
    Mask even, odd;
  };
  static PairMask MakePairMask(int begin, int end) {
    return {MaskOfPlaces(begin, end, 0, 2), MaskOfPlaces(begin, end, 1, 2)};
  }
  static Pair LoadPair(const float* p) {
    const float32x4x2_t both = vld2q_f32(p);
    return {both.val[0], both.val[1]};
  }
  static Pair LoadPairMasked(const float* p, PairMask mask) {
    const Pair both = LoadPair(p);
    return {And(both.even, mask.even), And(both.odd, mask.odd)};
  }
  static void StorePairOrder(float* p, Vector v) { vst1q_f32(p, v); }

  // Weights multiply by lane: four share a register. The intrinsic would do, but GCC takes the broadcast of each lane
  // out of the loop and then runs out of registers.
  template <int kKernel>
  using Pairs = SplitPairs<Simd, kKernel>;

  template <int kCount>
  struct Weights {
    static constexpr int kFull = kCount / 4, kRest = kCount % 4;
    Vector four[(kCount + 3) / 4];
    TFPRUNE_INLINE void Read(const float* p) {
#pragma GCC unroll 8
      for (int i = 0; i < kFull; ++i) four[i] = vld1q_f32(p + 4 * i);
      if constexpr (kRest > 0) {
        Vector rest = vdupq_n_f32(p[4 * kFull]);
        if constexpr (kRest > 1) rest = vsetq_lane_f32(p[4 * kFull + 1], rest, 1);
        if constexpr (kRest > 2) rest = vsetq_lane_f32(p[4 * kFull + 2], rest, 2);
        four[kFull] = rest;
      }
    }
    template <int kIndex>
    TFPRUNE_INLINE Vector MultiplyAdd(Vector acc, Vector x) const {
      __asm__("fmla %0.4s, %1.4s, %2.s[%3]" : "+w"(acc) : "w"(x), "w"(four[kIndex / 4]), "n"(kIndex % 4));
      return acc;
    }
  };
};

}  // namespace
}  // namespace neon
}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_SIMD_NEON_H_
