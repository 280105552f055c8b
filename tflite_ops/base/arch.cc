// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/base/arch.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace tfprune {
namespace {

constexpr Arch kAll[] = {Arch::kReference,  Arch::kSse2, Arch::kAvx2,        Arch::kAvx512,
                         Arch::kAvx512Vnni, Arch::kNeon, Arch::kNeonDotprod, Arch::kNeonI8mm};

#if defined(__x86_64__)
constexpr uint32_t kOsxsave = 1u << 27, kFma = 1u << 12, kF16c = 1u << 29;                            // leaf 1, ecx
constexpr uint32_t kAvx2 = 1u << 5, kAvx512f = 1u << 16, kAvx512dq = 1u << 17, kAvx512vl = 1u << 31;  // leaf 7, ebx
constexpr uint32_t kAvx512bw = 1u << 30;
constexpr uint32_t kAvx512vnni = 1u << 11;              // leaf 7, ecx
constexpr uint32_t kYmmState = 0x06, kZmmState = 0xE6;  // XCR0: what the operating system saves

uint32_t ReadXcr0() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

Arch Detect() {
  uint32_t eax, ebx, ecx, edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & kOsxsave)) return Arch::kSse2;
  const bool fma = (ecx & kFma) != 0 && (ecx & kF16c) != 0;
  const uint32_t saved = ReadXcr0();
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return Arch::kSse2;
  constexpr uint32_t kWanted512 = kAvx512f | kAvx512dq | kAvx512bw | kAvx512vl;
  if ((ebx & kWanted512) == kWanted512 && (saved & kZmmState) == kZmmState && fma)
    return (ecx & kAvx512vnni) ? Arch::kAvx512Vnni : Arch::kAvx512;
  if ((ebx & kAvx2) && fma && (saved & kYmmState) == kYmmState) return Arch::kAvx2;
  return Arch::kSse2;
}
#elif defined(__aarch64__)
// AT_HWCAP, the same numbers on Linux and Android.
constexpr unsigned long kHwcapDotProduct = 1ul << 20, kHwcapVectorHalves = 1ul << 10;
constexpr unsigned long kHwcap2Int8Matrix = 1ul << 13;  // AT_HWCAP2

Arch Detect() {
  if (!(getauxval(AT_HWCAP) & kHwcapDotProduct)) return Arch::kNeon;
  return (getauxval(AT_HWCAP2) & kHwcap2Int8Matrix) ? Arch::kNeonI8mm : Arch::kNeonDotprod;
}
#else
Arch Detect() { return Arch::kReference; }
#endif

}  // namespace

const char* ArchName(Arch arch) {
  switch (arch) {
    case Arch::kReference:
      return "reference";
    case Arch::kSse2:
      return "sse2";
    case Arch::kAvx2:
      return "avx2";
    case Arch::kAvx512:
      return "avx512";
    case Arch::kAvx512Vnni:
      return "avx512_vnni";
    case Arch::kNeon:
      return "neon";
    case Arch::kNeonDotprod:
      return "neon_dotprod";
    case Arch::kNeonI8mm:
      return "neon_i8mm";
  }
  return "unknown";
}

bool ParseArch(const char* name, Arch* arch) {
  for (const Arch candidate : kAll) {
    if (strcmp(name, ArchName(candidate)) == 0) {
      *arch = candidate;
      return true;
    }
  }
  return false;
}

Arch FloatArch(Arch arch) {
  if (arch == Arch::kAvx512Vnni) return Arch::kAvx512;
  return arch >= Arch::kNeon ? Arch::kNeon : arch;
}

Arch DetectedArch() {
  // Several threads may ask at once, and find the same. A static object would want the C++ runtime's locks.
  static int known = -1;
  int found = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (found < 0) {
    found = static_cast<int>(Detect());
    __atomic_store_n(&known, found, __ATOMIC_RELAXED);
  }
  return static_cast<Arch>(found);
}

bool HasHalfArithmetic() {
#if defined(__aarch64__)
  return (getauxval(AT_HWCAP) & kHwcapVectorHalves) != 0;
#else
  return false;
#endif
}

bool IsSupported(Arch arch) {
  if (arch == Arch::kReference) return true;
  const bool same_family = (arch >= Arch::kNeon) == (DetectedArch() >= Arch::kNeon);
  return same_family && arch <= DetectedArch();
}

}  // namespace tfprune
