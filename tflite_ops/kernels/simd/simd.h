// SPDX-License-Identifier: Apache-2.0
// What the headers beside this one provide, one instruction set each, in an unnamed namespace: code compiled with
// different flags then never meets in the linker. A kernel's ISA file includes exactly one of them and its own generic
// body, inside the namespace of its instruction set.
//
// `Simd` (and `HalfSimd`, with half as many lanes, where the instruction set has it for free):
//
//     Vector, kLanes
//     Set(value) Load(p) Store(p, v) Add(a, b) Multiply(a, b) Divide(a, b)
//     MultiplyAdd(acc, a, b)         acc + a * b, fused where the instruction set can
//     Max(a, b)                      b where either is NaN
//     Clamp(v, low, high)            min(max(v, low), high); a NaN in v passes through
//     Mask MakeMask(begin, end)      lanes [begin, end); both may lie outside [0, kLanes]
//     LoadMasked(p, mask)            zero in the other lanes, whatever memory holds there. kSparesMaskedMemory tells
//                                    whether that memory is left alone or may be read (and then must be readable)
//     Select(mask, a, b)             a in the mask's lanes, b elsewhere
//
//     InRegister(v)                  v, loaded once for all its uses: compilers like to load again for each
//     kRegisters                     how many vectors the registers hold
//     kTilesOfAnyHeight              whether stencils' tiles of 3, 5 and 6 rows are faster than fewer kinds (measured)
//
// Columns that the taps of a kernel row see at stride 2, for kLanes neighbouring outputs. Lanes may be in an order of
// the instruction set's own, which StorePairOrder undoes:
//
//     Pairs<kernel>::Load(p, x)                x[k], lane i = p[2 * i + k], k < kernel
//     Pairs<kernel>::LoadMasked(p, mask, x)
//     Pairs<kernel>::Mask, its Set(begin, end) places [begin, end) counted from p; all others read as zero
//     StorePairOrder(p, v)
//
// `Weights<n>`: n floats kept in registers: `Read(p)`, `MultiplyAdd<i>(acc, x)`: acc + x * weight i.
#ifndef TFPRUNE_KERNELS_SIMD_SIMD_H_
#define TFPRUNE_KERNELS_SIMD_SIMD_H_

#include <stddef.h>
#include <stdint.h>

#define TFPRUNE_INLINE inline __attribute__((always_inline))

namespace tfprune {

// Pairs for instruction sets that split 2 * kLanes floats into those at even and those at odd places cheaply: one split
// for every second tap. `S` provides LoadPair(p) and LoadPairMasked(p, mask), which return {even, odd}, and
// MakePairMask(begin, end).
template <typename S, int kKernel>
struct SplitPairs {
  using V = typename S::Vector;
  static constexpr int kSplits = (kKernel + 1) / 2;

  struct Mask {
    typename S::PairMask split[kSplits];
    void Set(int begin, int end) {
      for (int i = 0; i < kSplits; ++i) split[i] = S::MakePairMask(begin - 2 * i, end - 2 * i);
    }
  };

  static TFPRUNE_INLINE void Load(const float* p, V (&x)[kKernel]) {
#pragma GCC unroll 4
    for (int i = 0; i < kSplits; ++i) Keep(S::LoadPair(p + 2 * i), 2 * i, x);
  }

  static TFPRUNE_INLINE void LoadMasked(const float* p, const Mask& mask, V (&x)[kKernel]) {
#pragma GCC unroll 4
    for (int i = 0; i < kSplits; ++i) Keep(S::LoadPairMasked(p + 2 * i, mask.split[i]), 2 * i, x);
  }

 private:
  static TFPRUNE_INLINE void Keep(const typename S::Pair& pair, int k, V (&x)[kKernel]) {
    x[k] = pair.even;
    if (k + 1 < kKernel) x[k + 1] = pair.odd;
  }
};

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_SIMD_SIMD_H_
