// SPDX-License-Identifier: Apache-2.0
// Which weights a plan reads where they lie, and what it counts as made of them.
#include <gtest/gtest.h>

#include <vector>

#include "tflite_ops/kernels/conv2d/conv2d.h"
#include "tflite_ops/testing/guarded.h"
#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {
namespace {

constexpr Encoding kEncodings[] = {Encoding::kRowBand, Encoding::kSlidingRow, Encoding::kBlockRows,
                                   Encoding::kBlockColumns};

std::vector<Arch> SupportedArchs() {
  std::vector<Arch> archs;
  for (const Arch arch : {Arch::kReference, Arch::kSse2, Arch::kAvx2, Arch::kAvx512, Arch::kNeon}) {
    if (IsSupported(arch)) archs.push_back(arch);
  }
  return archs;
}

// Float16 weights of a single pixel: read as they are stored where the kernel can, and always the bytes of the float32
// weights that they widen to.
TEST(Conv2D, HalvesOfASinglePixelAreReadInPlaceOrExpanded) {
  std::mt19937 random(12);
  ThreadPool pool;
  Workspace workspace;
  uint32_t in_place = 0;
  for (const Encoding encoding : {Encoding::kRowBand, Encoding::kSlidingRow}) {
    for (const uint32_t rows : {1u, 2u, 4u, 6u, 8u, 12u, 16u}) {
      for (const uint32_t channels : {16u, 17u, 36u, 40u, 48u, 56u}) {
        for (const uint32_t cols : {1u, 2u}) {
          PackedSpec spec;
          spec.encoding = encoding, spec.group_rows = rows, spec.group_cols = cols;
          spec.out_channels = channels, spec.in_channels = 31;
          spec.value_type = ValueType::kFloat16;
          const std::vector<uint8_t> bytes = BuildPacked(spec, &random).bytes;
          PackedWeights stored, expanded;
          ASSERT_TRUE(ReadPackedWeights(bytes.data(), bytes.size(), &stored).ok());
          ASSERT_TRUE(ReadPackedWeights(bytes.data(), bytes.size(), &expanded).ok());
          ASSERT_TRUE(ExpandHalves(&expanded, nullptr, 1).ok());
          expanded.halves = nullptr;
          Guarded<float> x(spec.in_channels), y(channels), wide(channels);
          for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i) - 15.0f;
          for (const Arch arch : SupportedArchs()) {
            SCOPED_TRACE(spec.Name() + " on " + ArchName(arch));
            const ImageSize one = {1, 1, 1};
            const bool reads = Conv2DPlan::ReadsHalves(stored, one, arch, Precision::kF32);
            const bool could = arch != Arch::kReference && arch != Arch::kSse2 && cols == 1 && rows % 4 == 0;
            const bool sliding = encoding == Encoding::kSlidingRow;
            EXPECT_EQ(reads, could && (sliding ? rows != 12 : channels % 4 == 0));
            EXPECT_FALSE(Conv2DPlan::ReadsHalves(stored, {1, 9, 9}, arch, Precision::kF32));
            Conv2DPlan plan, reference;
            ASSERT_EQ(plan.Prepare(stored, one, arch, 2).ok(), reads);
            if (!reads) continue;
            ++in_place;
            ASSERT_TRUE(reference.Prepare(expanded, one, arch, 2).ok());
            ASSERT_TRUE(plan.Run(x.data(), nullptr, y.data(), &pool, &workspace));
            ASSERT_TRUE(reference.Run(x.data(), nullptr, wide.data(), &pool, &workspace));
            for (uint32_t r = 0; r < channels; ++r) ASSERT_EQ(y[r], wide[r]) << r;
            EXPECT_EQ(plan.weight_bytes().in_place, 2u * stored.value_count);
            EXPECT_EQ(plan.weight_bytes().repacked, 0u);
            EXPECT_EQ(plan.weight_bytes().offsets, stored.step_bytes());
          }
        }
      }
    }
  }
  EXPECT_EQ(in_place > 0, DetectedArch() > Arch::kSse2);
}

// Float32 weights are read where they lie whatever the shape; only what is made from their columns depends on it.
TEST(Conv2D, WhatIsMadeOfTheWeightsIsCounted) {
  std::mt19937 random(13);
  for (const Encoding encoding : kEncodings) {
    PackedSpec spec;
    spec.encoding = encoding, spec.group_rows = encoding == Encoding::kBlockColumns ? 1 : 4;
    spec.out_channels = 20, spec.in_channels = 9;
    const std::vector<uint8_t> bytes = BuildPacked(spec, &random).bytes;
    PackedWeights weights;
    ASSERT_TRUE(ReadPackedWeights(bytes.data(), bytes.size(), &weights).ok());
    for (const Arch arch : SupportedArchs()) {
      Conv2DPlan plan;
      EXPECT_EQ(plan.weight_bytes().in_place, 0u);
      for (const uint32_t size : {1u, 8u}) {
        ASSERT_TRUE(plan.Prepare(weights, {1, size, size}, arch, 1).ok());
        const WeightBytes made = plan.weight_bytes();
        EXPECT_EQ(made.in_place, size_t{4} * weights.value_count);
        EXPECT_EQ(made.repacked, 0u);
        const bool columns_in_place = arch == Arch::kReference || (size == 1 && !weights.in_blocks());
        const size_t lines = columns_in_place ? 0 : weights.line_count + kEmptyLines;
        const size_t offsets = made.offsets - weights.step_bytes();
        EXPECT_GE(offsets, columns_in_place ? 0 : size_t{4} * weights.group_count);
        EXPECT_LE(offsets, columns_in_place ? 0 : 4 * (weights.group_count + 2 * lines));
      }
    }
  }
}

}  // namespace
}  // namespace tfprune
