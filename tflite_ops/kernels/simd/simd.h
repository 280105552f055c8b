// SPDX-License-Identifier: Apache-2.0
// What the headers beside this one provide, one instruction set each, in an unnamed namespace: code compiled with
// different flags then never meets in the linker. A kernel's ISA file includes exactly one of them and its own generic
// body, inside the namespace of its instruction set.
//
// `Simd` (and `HalfSimd`, with half as many lanes, where the instruction set has it for free):
//
//     Vector, kLanes
//     Set(value) Load(p) Store(p, v) Add(a, b) Multiply(a, b)
//     MultiplyAdd(acc, a, b)         acc + a * b, fused where the instruction set can
//     Max(a, b)                      b where either is NaN
//     Clamp(v, low, high)            min(max(v, low), high); a NaN in v passes through
//     Mask MakeMask(begin, end)      lanes [begin, end); both may lie outside [0, kLanes]
//     LoadMasked(p, mask)            zero in the other lanes, whatever memory holds there. kSparesMaskedMemory tells
//                                    whether that memory is left alone or may be read (and then must be readable)
//     Select(mask, a, b)             a in the mask's lanes, b elsewhere
//
// Columns of stride 2: 2 * kLanes floats are loaded as `Pair`s of vectors, those at even and those at odd places. Both
// may have their lanes in an order of the instruction set's own, which `StorePairOrder` undoes:
//
//     LoadPair(p) LoadEven(p)
//     PairMask MakePairMask(begin, end)      floats [begin, end) of the 2 * kLanes
//     LoadPairMasked(p, mask) LoadEvenMasked(p, mask)
//     StorePairOrder(p, v)
//
// `Weights<n>`: n floats kept in registers: `Read(p)`, `MultiplyAdd<i>(acc, x)`: acc + x * weight i.
#ifndef TFPRUNE_KERNELS_SIMD_SIMD_H_
#define TFPRUNE_KERNELS_SIMD_SIMD_H_

#include <stddef.h>
#include <stdint.h>

#define TFPRUNE_INLINE inline __attribute__((always_inline))

#endif  // TFPRUNE_KERNELS_SIMD_SIMD_H_
