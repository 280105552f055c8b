// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BASE_ARCH_H_
#define TFPRUNE_BASE_ARCH_H_

#include <stdint.h>

namespace tfprune {

// The instruction sets kernels are written for. kReference is the plain-loops oracle that runs everywhere; the others
// are SIMD kernels. The order is that of preference on one machine, worst first. An Arch names the most that may be
// used: an op whose kernels gain nothing from it (float kernels from VNNI, the dot product or the int8 matrix product,
// int8 kernels from AVX-512 without VNNI) runs the next best ones, and the kernel's name says which.
enum class Arch : uint8_t { kReference, kSse2, kAvx2, kAvx512, kAvx512Vnni, kNeon, kNeonDotprod, kNeonI8mm };

// Lower-case name as the delegate's `arch` option spells it.
const char* ArchName(Arch arch);

// True and `arch` set where `name` is an ArchName.
bool ParseArch(const char* name, Arch* arch);

// Whether this build holds kernels for `arch` and this machine, with its operating system, can run them.
bool IsSupported(Arch arch);

// The arch whose float kernels run where `arch` may be used.
Arch FloatArch(Arch arch);

// What a float layer computes in. kF16 rounds inputs, weights, bias and every sum to float16.
enum class Precision : uint8_t { kF32, kF16 };

// Whether the vector units of this machine compute in float16 (Armv8.2 FP16), beside what its Arch says: float layers
// of precision f16 need it.
bool HasHalfArithmetic();

// The best supported arch, detected once.
Arch DetectedArch();

}  // namespace tfprune

#endif  // TFPRUNE_BASE_ARCH_H_
