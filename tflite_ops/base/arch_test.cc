// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/base/arch.h"

#include <gtest/gtest.h>

#include <random>

#include "tflite_ops/base/crc32.h"

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace tfprune {
namespace {

TEST(Arch, NamesParseBack) {
  for (const Arch arch : {Arch::kReference, Arch::kSse2, Arch::kAvx2, Arch::kAvx512, Arch::kAvx512Vnni, Arch::kNeon,
                          Arch::kNeonDotprod, Arch::kNeonI8mm}) {
    Arch parsed = Arch::kReference;
    EXPECT_TRUE(ParseArch(ArchName(arch), &parsed));
    EXPECT_EQ(parsed, arch);
  }
  Arch untouched = Arch::kAvx2;
  EXPECT_FALSE(ParseArch("AVX2", &untouched));
  EXPECT_FALSE(ParseArch("", &untouched));
  EXPECT_EQ(untouched, Arch::kAvx2);
}

TEST(Arch, DetectedAgreesWithTheCompiler) {
  EXPECT_TRUE(IsSupported(Arch::kReference));
  EXPECT_TRUE(IsSupported(DetectedArch()));
#if defined(__x86_64__)
  EXPECT_EQ(IsSupported(Arch::kAvx2), __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
  EXPECT_EQ(IsSupported(Arch::kAvx512), __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                                            __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"));
  EXPECT_EQ(IsSupported(Arch::kAvx512Vnni), IsSupported(Arch::kAvx512) && __builtin_cpu_supports("avx512vnni"));
  EXPECT_TRUE(IsSupported(Arch::kSse2));
  EXPECT_FALSE(IsSupported(Arch::kNeon));
#elif defined(__aarch64__)
  EXPECT_TRUE(IsSupported(Arch::kNeon));
  EXPECT_EQ(IsSupported(Arch::kNeonDotprod), (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0);
  EXPECT_EQ(IsSupported(Arch::kNeonI8mm), IsSupported(Arch::kNeonDotprod) && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0);
  EXPECT_FALSE(IsSupported(Arch::kAvx2));
#endif
}

TEST(Arch, FloatKernelsRunOnTheBaseOfEachArch) {
  EXPECT_EQ(FloatArch(Arch::kAvx512Vnni), Arch::kAvx512);
  EXPECT_EQ(FloatArch(Arch::kNeonDotprod), Arch::kNeon);
  EXPECT_EQ(FloatArch(Arch::kNeonI8mm), Arch::kNeon);
  EXPECT_EQ(FloatArch(Arch::kAvx2), Arch::kAvx2);
  EXPECT_EQ(FloatArch(Arch::kReference), Arch::kReference);
}

TEST(Crc32, MatchesTheStandardCheckValue) {
  const uint8_t digits[] = {'1', '2', '3', '4', '5', '6', '7', '8', '9'};
  EXPECT_EQ(Crc32(digits, 9), 0xCBF43926u);
  EXPECT_EQ(Crc32(digits, 0), 0u);
}

// Bit by bit, without a table.
uint32_t BitwiseCrc32(const uint8_t* bytes, size_t count) {
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < count; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
  }
  return ~crc;
}

TEST(Crc32, GoesOnFromTheBytesBefore) {
  std::mt19937 random(1);
  uint8_t bytes[257];
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  for (const size_t count : {0, 1, 9, 257}) EXPECT_EQ(Crc32(bytes, count), BitwiseCrc32(bytes, count));
  EXPECT_EQ(Crc32(bytes + 100, 157, Crc32(bytes, 100)), BitwiseCrc32(bytes, 257));
}

}  // namespace
}  // namespace tfprune
