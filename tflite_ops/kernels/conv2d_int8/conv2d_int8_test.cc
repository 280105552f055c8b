// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <math.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tflite_ops/kernels/conv2d_int8/int8_checks.h"

namespace tfprune {
namespace {

TEST(Int8Conv2D, EveryEncodingAndGroupSize) {
  uint32_t seed = 1;
  for (const Encoding encoding : {Encoding::kRowBand, Encoding::kSlidingRow}) {
    for (const uint32_t rows : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 9u, 16u, 24u}) {
      if (encoding == Encoding::kSlidingRow && rows > kMaxSlidingRows) continue;
      for (const uint32_t cols : {1u, 2u, 3u, 4u, 8u}) {
        for (int repeat = 0; repeat < 3; ++repeat, ++seed) {
          const PackedSpec spec = SpecOf(encoding, rows, cols, seed);
          const ImageSize in = {1 + seed % 3, 1 + seed % 7, 1 + seed % 11};
          CheckInt8(spec, in, seed % 4 != 0, seed);
          if (!HasFatalFailure()) CheckBuiltin(spec, in, seed);
          if (HasFatalFailure()) return;
          CheckDynamic(spec, in, seed);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

// Lines of many operands, for which there may be other kernels than for few; sizes round multiples of two operands.
TEST(Int8Conv2D, LongLines) {
  uint32_t seed = 3000;
  for (const Encoding encoding : {Encoding::kRowBand, Encoding::kSlidingRow}) {
    for (const uint32_t rows : {1u, 2u, 4u, 5u, 8u, 11u, 16u}) {
      for (const uint32_t cols : {1u, 4u}) {
        for (const uint32_t channels : {180u, 187u}) {
          PackedSpec spec = SpecOf(encoding, rows, cols, seed);
          spec.in_channels = channels;
          spec.out_channels = std::max(rows, 11u + seed % 23);
          spec.density = 0.95;
          const ImageSize in = {1, 1 + seed % 3, 9 + seed % 14};
          CheckInt8(spec, in, true, seed);
          if (!HasFatalFailure()) CheckBuiltin(spec, in, seed);
          if (HasFatalFailure()) return;
          CheckDynamic(spec, in, seed);
          if (HasFatalFailure()) return;
          ++seed;
        }
      }
    }
  }
}

// Single weights, which may run as groups of four columns: of few channels, of many, of windows, and in long gaps.
TEST(Int8Conv2D, SingleWeights) {
  uint32_t seed = 4000;
  for (const uint32_t channels : {3u, 6u, 64u, 130u, 259u, 300u}) {
    for (const uint32_t kernel : {1u, 3u}) {
      for (const double density : {0.02, 0.25, 0.8}) {
        PackedSpec spec = SpecOf(Encoding::kRowBand, 1, 1, seed);
        spec.in_channels = channels;
        spec.out_channels = 5 + seed % 6;
        spec.kernel_h = spec.kernel_w = kernel;
        spec.stride_h = spec.stride_w = 1 + seed % 2;
        spec.density = density;
        const ImageSize in = {1, 3 + seed % 3, 9 + seed % 14};
        CheckInt8(spec, in, true, seed);
        if (HasFatalFailure()) return;
        CheckDynamic(spec, in, seed);
        if (HasFatalFailure()) return;
        ++seed;
      }
    }
  }
}

// Blocks, which run as single weights; some that the builder makes overlap, and such are refused.
TEST(Int8Conv2D, Blocks) {
  uint32_t checked = 0;
  for (uint32_t seed = 5000; seed < 5120; ++seed) {
    const bool rows = seed % 2 == 0;
    PackedSpec spec = SpecOf(rows ? Encoding::kBlockRows : Encoding::kBlockColumns, rows ? 3 : 1, 1, seed);
    spec.out_channels = 3 + seed % 29;
    spec.in_channels = 4 + seed % 37;
    spec.kernel_h = spec.kernel_w = 1 + seed % 3 / 2 * 2;
    spec.density = 0.1;
    spec.band_rows = 1 + seed % 17;
    spec.value_type = ValueType::kInt8;
    // The first number that the checks draw decides what the blocks are: they are built twice.
    const auto overlaps = [&](bool int8_activations) {
      std::mt19937 random(seed);
      if (int8_activations) random.discard(2);
      PackedSpec same = spec;
      same.int8_activations = int8_activations;
      const Packed packed = BuildPacked(same, &random);
      PackedWeights blocks, single;
      EXPECT_TRUE(ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &blocks).ok());
      return !BlocksToSingleRows(blocks, &single).ok();
    };
    const ImageSize in = {1 + seed % 2, 1 + seed % 7, 1 + seed % 9};
    if (!overlaps(true)) CheckInt8(spec, in, seed % 4 != 0, seed), ++checked;
    if (HasFatalFailure()) return;
    if (!overlaps(false)) CheckDynamic(spec, in, seed), ++checked;
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(checked, 40u);
}

TEST(Int8Conv2D, KernelsStridesDilationsAndPadding) {
  ForEachWindow(SpecOf, [](const PackedSpec& spec, uint32_t batch, uint32_t height, uint32_t width, uint32_t seed) {
    const ImageSize in = {batch, height, width};
    CheckInt8(spec, in, true, seed);
    if (!HasFatalFailure()) CheckBuiltin(spec, in, seed);
    if (HasFatalFailure()) return;
    CheckDynamic(spec, in, seed);
  });
}

// One pixel or few: matrix times vector, weights read in place.
TEST(Int8Conv2D, FewPixels) {
  uint32_t seed = 5000;
  for (const uint32_t rows : {1u, 2u, 3u, 4u, 5u, 8u, 16u, 24u, 32u}) {
    for (const uint32_t cols : {1u, 2u, 3u, 4u, 8u}) {
      for (const uint32_t channels : {9u, 70u, 257u}) {
        PackedSpec spec = SpecOf(Encoding::kRowBand, rows, cols, seed);
        spec.op = Op::kFullyConnected;
        spec.padding = Padding::kValid;
        spec.in_channels = channels;
        spec.out_channels = std::max(rows, 20u + seed % 30);
        CheckInt8(spec, {1 + seed % 2, 1, 1}, true, seed);
        if (!HasFatalFailure()) CheckBuiltin(spec, {1 + seed % 2, 1, 1}, seed);
        if (HasFatalFailure()) return;
        CheckDynamic(spec, {1, 1, 1}, seed);
        if (HasFatalFailure()) return;
        ++seed;
      }
    }
  }
}

// One pixel of many columns: inputs are collected by windows of 64 where lines have many cells, else cell by cell.
// Densities leave windows empty, full, and on both sides of a look-up's 32 places.
TEST(Int8Conv2D, OnePixelOfManyColumns) {
  uint32_t seed = 6000;
  for (const Encoding encoding : {Encoding::kRowBand, Encoding::kSlidingRow}) {
    for (const uint32_t rows : {1u, 2u, 4u, 6u, 8u, 16u, 28u}) {
      if (encoding == Encoding::kSlidingRow && rows > kMaxSlidingRows) continue;
      for (const uint32_t channels : {64u, 65u, 127u, 700u}) {
        for (const double density : {0.01, 0.2, 0.5, 1.0}) {
          PackedSpec spec = SpecOf(encoding, rows, 1, seed);
          spec.op = Op::kFullyConnected;
          spec.padding = Padding::kValid;
          spec.in_channels = channels;
          spec.out_channels = std::max(rows, 15u + seed % 40);
          spec.density = density;
          CheckInt8(spec, {1, 1, 1}, seed % 3 != 0, seed);
          if (HasFatalFailure()) return;
          CheckDynamic(spec, {1, 1, 1}, seed);
          if (HasFatalFailure()) return;
          ++seed;
        }
      }
    }
  }
}

TEST(Int8Conv2D, ManyStripsAndTiles) {
  PackedSpec spec = SpecOf(Encoding::kRowBand, 4, 4, 2);
  spec.out_channels = 24;
  spec.in_channels = 40;
  spec.kernel_h = spec.kernel_w = 3;
  spec.density = 0.05;
  CheckInt8(spec, {2, 61, 67}, true, 7);
  CheckBuiltin(spec, {2, 61, 67}, 7);
  spec.group_cols = 1;
  spec.stride_h = spec.stride_w = 2;
  CheckDynamic(spec, {1, 90, 45}, 8);
}

TEST(Int8Conv2D, AllZeroAndAllKept) {
  for (const double density : {0.0, 16.0}) {
    for (const uint32_t cols : {1u, 4u}) {
      PackedSpec spec = SpecOf(Encoding::kRowBand, 4, cols, 2);
      spec.out_channels = 19;
      spec.in_channels = 8;
      spec.density = std::min(density, 1.0);
      CheckInt8(spec, {1, 9, 9}, true, 21);
      CheckDynamic(spec, {1, 1, 1}, 22);
    }
  }
}

// The largest sums that are accepted: every operand is an extreme of its type.
TEST(Int8Conv2D, ExtremesDoNotSaturate) {
  for (const uint32_t cols : {1u, 4u}) {
    PackedSpec spec = SpecOf(Encoding::kRowBand, 4, cols, 2);
    spec.out_channels = spec.in_channels = 64;
    spec.density = 1.0;
    spec.value_type = ValueType::kInt8;
    spec.input_zero_point = 127;
    spec.output_zero_point = 0;
    spec.output_scale = 100.0f;
    std::mt19937 random(5);
    Packed packed = BuildPacked(spec, &random);
    PackedWeights weights;
    ASSERT_TRUE(ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &weights).ok());
    ASSERT_FALSE(weights.filled);
    memset(packed.bytes.data() + kPackedHeaderBytes, 0x80, weights.value_count);
    const std::vector<int8_t> x(40 * 64, -128);
    ThreadPool pool;
    Workspace workspace;
    std::vector<double> stored(64);  // weights of each row; groups of four columns overlap here
    ForEachWeight(weights, [&](uint32_t row, uint32_t, size_t) { ++stored[row]; });
    for (const Arch arch : SupportedArchs()) {
      Int8Conv2DPlan plan;
      ASSERT_TRUE(plan.Prepare(weights, nullptr, {1, 1, 40}, arch, 1).ok());
      std::vector<int8_t> y(40 * 64);
      ASSERT_TRUE(plan.Run(x.data(), y.data(), &pool, &workspace));
      for (size_t i = 0; i < y.size(); ++i) {
        const uint32_t row = static_cast<uint32_t>(i % 64);
        ASSERT_EQ(y[i], Requantized(spec, row, stored[row] * -128 * -255)) << plan.kernel_name();
      }
    }
  }
}

TEST(Int8Conv2D, SumsThatMayLeave32BitsAreRefused) {
  PackedSpec spec = SpecOf(Encoding::kRowBand, 4, 1, 2);
  spec.value_type = ValueType::kInt8;
  std::mt19937 random(5);
  const Packed packed = BuildPacked(spec, &random);
  PackedWeights weights;
  ASSERT_TRUE(ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &weights).ok());
  const std::vector<int32_t> bias(spec.out_channels, INT32_MIN);
  Int8Conv2DPlan plan;
  const Status status = plan.Prepare(weights, bias.data(), {1, 4, 4}, DetectedArch(), 1);
  EXPECT_NE(std::string(status.message).find("may leave 32 bits"), std::string::npos) << status.message;
}

TEST(Int8Conv2D, OddFloatsNeverFault) {
  PackedSpec spec = SpecOf(Encoding::kRowBand, 4, 4, 2);
  spec.value_type = ValueType::kInt8;
  spec.int8_activations = false;
  std::mt19937 random(5);
  const Packed packed = BuildPacked(spec, &random);
  PackedWeights weights;
  ASSERT_TRUE(ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &weights).ok());
  ThreadPool pool;
  Workspace workspace;
  for (const float odd : {static_cast<float>(NAN), static_cast<float>(INFINITY), -3.4e38f, 1e-45f, 1e-39f, 0.0f}) {
    for (const Arch arch : SupportedArchs()) {
      std::vector<float> x(size_t{40} * spec.in_channels, 1.0f), y(size_t{40} * spec.out_channels);
      x[3] = odd;
      x[4] = -odd;
      Int8Conv2DPlan plan;
      ASSERT_TRUE(plan.Prepare(weights, nullptr, {1, 4, 10}, arch, 1).ok());
      ASSERT_TRUE(plan.Run(x.data(), y.data(), &pool, &workspace));
    }
  }
}

std::string KernelName(const PackedSpec& spec, Arch arch) {
  std::mt19937 random(1);
  const Packed packed = BuildPacked(spec, &random);
  PackedWeights weights;
  EXPECT_TRUE(ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &weights).ok());
  Int8Conv2DPlan plan;
  EXPECT_TRUE(plan.Prepare(weights, nullptr, {1, 8, 8}, arch, 1).ok());
  return plan.kernel_name();
}

TEST(Int8Conv2D, TheForcedArchIsTheOneThatRuns) {
  PackedSpec spec = SpecOf(Encoding::kRowBand, 4, 4, 2);
  spec.value_type = ValueType::kInt8;
  spec.in_channels = 256;
  spec.density = 1.0;
  EXPECT_EQ(KernelName(spec, Arch::kReference), "reference_int8");
  for (const Arch arch : SupportedArchs()) {
    if (arch == Arch::kReference) continue;
    const std::string name = ArchName(arch);
    EXPECT_EQ(KernelName(spec, arch), "row_band_quads/" + name);
    PackedSpec sliding = spec;
    sliding.encoding = Encoding::kSlidingRow;
    EXPECT_EQ(KernelName(sliding, arch), "sliding_row_quads/" + name);
  }
#if defined(__x86_64__)
  if (IsSupported(Arch::kAvx512)) {
    EXPECT_EQ(KernelName(spec, Arch::kAvx512), "row_band_quads/avx2");
  }
#elif defined(__aarch64__)
  PackedSpec singles = spec;
  singles.group_rows = singles.group_cols = 1;
  singles.density = 0.3;
  EXPECT_EQ(KernelName(singles, Arch::kNeonDotprod), "row_band_quads/neon_dotprod");
  // Where the matrix product gains nothing, the dot product runs, and says so.
  if (!IsSupported(Arch::kNeonI8mm)) return;
  PackedSpec short_lines = spec;
  short_lines.in_channels = 16;
  EXPECT_EQ(KernelName(short_lines, Arch::kNeonI8mm), "row_band_quads/neon_dotprod");
  PackedSpec few_rows = spec;
  few_rows.group_rows = 2;
  EXPECT_EQ(KernelName(few_rows, Arch::kNeonI8mm), "row_band_quads/neon_dotprod");
#endif
}

}  // namespace
}  // namespace tfprune
