// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/conv2d_int8/widen.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {
namespace {

std::vector<int> Decoded(const PackedWeights& w) {
  std::vector<int> dense(size_t{w.out_channels} * w.columns());
  ForEachWeight(w, [&](uint32_t row, uint32_t column, size_t index) {
    dense[size_t{row} * w.columns() + column] += w.bytes[index];
  });
  return dense;
}

PackedSpec Singles(uint32_t channels, uint32_t kernel, double density) {
  PackedSpec spec;
  spec.value_type = ValueType::kInt8;
  spec.int8_activations = true;
  spec.encoding = Encoding::kRowBand;
  spec.group_rows = spec.group_cols = 1;
  spec.in_channels = channels;
  spec.out_channels = 9;
  spec.kernel_h = spec.kernel_w = kernel;
  spec.density = density;
  return spec;
}

TEST(WidenSingles, HoldsTheSameWeightsInGroupsOfOneKernelPosition) {
  std::mt19937 random(3);
  for (const uint32_t channels : {4u, 5u, 7u, 30u, 64u, 257u, 301u}) {
    for (const uint32_t kernel : {1u, 3u}) {
      for (const double density : {0.2, 0.5, 1.0}) {
        const Packed packed = BuildPacked(Singles(channels, kernel, density), &random);
        PackedWeights narrow;
        ASSERT_TRUE(ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &narrow).ok());
        WideWeights wide;
        ASSERT_TRUE(WidenSingles(narrow, 100, &wide)) << channels << " " << kernel << " " << density;
        EXPECT_EQ(Decoded(wide.weights), Decoded(narrow));
        EXPECT_LE(wide.weights.group_count, narrow.group_count);
        uint32_t unaligned = 0;
        ForEachGroup(wide.weights, [&](uint32_t, uint32_t, uint32_t start) {
          const uint32_t channel = start % channels;
          EXPECT_LE(channel + kDotCells, channels) << "a group crosses from one kernel position to the next";
          unaligned += channel % kDotCells != 0 && channel + kDotCells < channels;
        });
        if (channels > kMostChannelsAnywhere) {
          EXPECT_EQ(unaligned, 0u);
        }
      }
    }
  }
}

TEST(WidenSingles, LeavesWhatWouldNotGain) {
  std::mt19937 random(4);
  PackedSpec sparse = Singles(200, 1, 0.02), pairs = Singles(64, 1, 0.9), few = Singles(3, 1, 1.0);
  pairs.group_rows = 2;
  for (const PackedSpec& spec : {sparse, pairs, few}) {
    const Packed packed = BuildPacked(spec, &random);
    PackedWeights narrow;
    ASSERT_TRUE(ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &narrow).ok());
    WideWeights wide;
    EXPECT_FALSE(WidenSingles(narrow, 85, &wide)) << spec.Name();
  }
}

}  // namespace
}  // namespace tfprune
