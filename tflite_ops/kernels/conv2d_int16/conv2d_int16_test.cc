// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tflite_ops/kernels/conv2d_int16/int16_checks.h"

namespace tfprune {
namespace {

TEST(Int16Conv2D, EveryEncodingAndGroupSize) {
  uint32_t seed = 1;
  for (const Encoding encoding : {Encoding::kRowBand, Encoding::kSlidingRow}) {
    for (const uint32_t rows : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 9u, 16u, 24u, 40u}) {
      if (encoding == Encoding::kSlidingRow && rows > kMaxSlidingRows) continue;
      for (const uint32_t cols : {1u, 2u, 3u, 4u}) {
        for (int repeat = 0; repeat < 3; ++repeat, ++seed) {
          Check(SpecOf(encoding, rows, cols, seed), {1 + seed % 3, 1 + seed % 7, 1 + seed % 11}, seed);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(Int16Conv2D, KernelsStridesDilationsAndPadding) {
  ForEachWindow(SpecOf, [](const PackedSpec& spec, uint32_t batch, uint32_t height, uint32_t width, uint32_t seed) {
    const ImageSize in = {batch, height, width};
    Check(spec, in, seed);
  });
}

// One pixel or few, and fully-connected layers with each type of bias.
TEST(Int16Conv2D, FewPixels) {
  uint32_t seed = 5000;
  for (const Encoding encoding : {Encoding::kRowBand, Encoding::kSlidingRow}) {
    for (const uint32_t rows : {1u, 2u, 3u, 4u, 5u, 8u, 16u, 24u, 40u}) {
      if (encoding == Encoding::kSlidingRow && rows > kMaxSlidingRows) continue;
      for (const uint32_t cols : {1u, 2u, 3u, 8u}) {
        for (const uint32_t channels : {9u, 70u, 257u}) {
          PackedSpec spec = SpecOf(encoding, rows, cols, seed);
          spec.op = Op::kFullyConnected;
          spec.padding = Padding::kValid;
          spec.in_channels = channels;
          spec.out_channels = std::max(rows, 20u + seed % 30);
          Check(spec, {1 + seed % 2, 1, 1}, seed);
          if (HasFatalFailure()) return;
          ++seed;
        }
      }
    }
  }
}

TEST(Int16Conv2D, ManyStripsAndTiles) {
  PackedSpec spec = SpecOf(Encoding::kRowBand, 4, 4, 2);
  spec.out_channels = 70;
  spec.in_channels = 40;
  spec.kernel_h = spec.kernel_w = 3;
  spec.density = 0.05;
  Check(spec, {2, 31, 37}, 7);
  spec.encoding = Encoding::kSlidingRow;
  spec.group_cols = 1;
  spec.stride_h = spec.stride_w = 2;
  Check(spec, {1, 50, 33}, 8);
}

TEST(Int16Conv2D, AllZeroAndAllKept) {
  for (const double density : {0.0, 1.0}) {
    for (const uint32_t cols : {1u, 4u}) {
      PackedSpec spec = SpecOf(Encoding::kRowBand, 4, cols, 2);
      spec.out_channels = 19;
      spec.in_channels = 8;
      spec.density = density;
      Check(spec, {1, 9, 9}, 21);
      Check(spec, {1, 1, 1}, 22);
    }
  }
}

// Every operand is an extreme of its type: sums of 32 bits would overflow, and those of pieces just do not.
TEST(Int16Conv2D, ExtremesDoNotOverflow) {
  for (const Encoding encoding : {Encoding::kRowBand, Encoding::kSlidingRow}) {
    for (const uint32_t rows : {1u, 4u, 7u}) {
      for (const ImageSize& in : {ImageSize{1, 1, 1}, ImageSize{1, 3, 7}}) {
        PackedSpec spec = SpecOf(encoding, rows, 1, 2);
        spec.in_channels = 1200;
        spec.out_channels = 9;
        spec.density = 1.0;
        spec.output_scale = 1200.0f;
        CheckOf<int16_t>(spec, {true, true, true, true}, in, 3);
        if (HasFatalFailure()) return;
        spec.output_scale = 40.0f;
        CheckOf<uint8_t>(spec, {false, true, false, true}, in, 3);
        if (HasFatalFailure()) return;
      }
    }
  }
}

std::string Refusal(const PackedSpec& spec, const LayerKind& kind, double input_scale = 0.05, int64_t bias = 0) {
  Layer layer;
  Build(spec, kind, {1, 4, 4}, 5, &layer);
  layer.weights().input_scale = static_cast<float>(input_scale);
  if (bias != 0) layer.bias64[1] = bias, layer.bias32[1] = static_cast<int32_t>(bias);
  Int16Conv2DPlan plan;
  return plan.Prepare(layer.weights(), layer.bias(), {1, 4, 4}, DetectedArch(), 1).message;
}

TEST(Int16Conv2D, WhatHasNoEqualIsRefused) {
  const PackedSpec spec = SpecOf(Encoding::kRowBand, 4, 1, 2);
  EXPECT_EQ(Refusal(spec, {true, true, true, false}), "");
  EXPECT_NE(Refusal(spec, {true, true, false, false}).find("bias of int16 activations must be int64"),
            std::string::npos);
  EXPECT_NE(Refusal(spec, {false, true, true, false}).find("bias of 8-bit activations must be int32"),
            std::string::npos);
  EXPECT_NE(Refusal(spec, {true, true, true, false}, 1e6).find("factor of 128 or more"), std::string::npos);
  EXPECT_NE(Refusal(spec, {true, true, true, false}, 0.05, INT64_MIN).find("may leave 37 bits"), std::string::npos);
  EXPECT_NE(Refusal(spec, {false, true, false, false}, 0.05, INT32_MIN).find("may leave 32 bits"), std::string::npos);
}

TEST(Int16Conv2D, MultipliersByHand) {
  int32_t multiplier = 0, shift = 0;
  QuantizeMultiplier(0.75, &multiplier, &shift);
  EXPECT_EQ(multiplier, 0x60000000);
  EXPECT_EQ(shift, 0);
  QuantizeMultiplier(1.0, &multiplier, &shift);
  EXPECT_EQ(multiplier, 0x40000000);
  EXPECT_EQ(shift, 1);
  QuantizeMultiplier(0.99999999999, &multiplier, &shift);  // rounds up to the next power of two
  EXPECT_EQ(multiplier, 0x40000000);
  EXPECT_EQ(shift, 1);
  QuantizeMultiplier(1e-12, &multiplier, &shift);
  EXPECT_EQ(multiplier, 0);
  EXPECT_EQ(shift, 0);
}

TEST(Int16Conv2D, RoundingByHand) {
  const OutputRange all = {-32768, 32767, 0};
  const auto rule = [](Requantization how, double factor, int32_t multiplier, int32_t shift) {
    return RowRule{how, 0, factor, 0.5, 0.5, multiplier, shift};
  };
  const struct {
    int64_t sum;
    int32_t upward, away;
  } cases[] = {{3, 2, 2}, {-3, -1, -2}, {5, 3, 3}, {-5, -2, -3}, {4, 2, 2}, {0, 0, 0}, {1 << 20, 32767, 32767}};
  for (const auto& c : cases) {
    for (const auto how : {Requantization::kFloor, Requantization::kOnce, Requantization::kTwice})
      EXPECT_EQ(Requantize(rule(how, 0.5, 1 << 30, 0), all, c.sum), c.upward) << c.sum;
    EXPECT_EQ(Requantize(rule(Requantization::kDouble, 0.5, 0, 0), all, c.sum), c.away) << c.sum;
    // The same factor with its only rounding in the second step.
    EXPECT_EQ(Requantize(rule(Requantization::kTwice, 0.5, 1 << 30, -1), all, 2 * c.sum), c.upward) << c.sum;
    EXPECT_EQ(Requantize(rule(Requantization::kTwiceAway, 0.5, 1 << 30, -1), all, 2 * c.sum), c.away) << c.sum;
  }
  // 11/8 - 2^-31 * small: rounded to a half first, and then once more.
  EXPECT_EQ(Requantize(rule(Requantization::kOnce, 0.25, (1 << 30) - 1, -1), all, 2), 0);
  EXPECT_EQ(Requantize(rule(Requantization::kTwice, 0.25, (1 << 30) - 1, -1), all, 2), 1);
}

// The short form in doubles against the two steps that it stands for, for every shift that has one and its neighbours.
TEST(Int16Conv2D, OneRoundingEqualsTwo) {
  std::mt19937 random(5);
  PackedSpec spec = SpecOf(Encoding::kRowBand, 4, 1, 2);
  spec.out_channels = 16;
  for (const Rounding rounding : {Rounding::kBuiltin, Rounding::kBuiltinChannels, Rounding::kBuiltinAway}) {
    for (int exponent = -16; exponent <= 3; ++exponent) {
      Layer layer;
      Build(spec, {false, false, false, false, true, rounding}, {1, 4, 4}, 5, &layer);
      PackedWeights& w = layer.weights();
      w.stock_channels = rounding == Rounding::kBuiltinChannels ? 12 : 0;  // blocks, and some channels more
      w.output_scale = static_cast<float>(std::ldexp(w.input_scale * w.scales[0], -exponent));
      Int16Channels channels;
      ASSERT_TRUE(PrepareChannels(w, {}, true, &channels).ok());
      for (uint32_t row = 0; row < 12; ++row) {
        const RowRule rule = channels.rules[row];
        EXPECT_EQ(rule.how == Requantization::kFloor, rule.shift >= -13 && rule.shift <= 0);
        RowRule steps = rule;
        const bool away = rounding == Rounding::kBuiltinAway || (rounding == Rounding::kBuiltinChannels && row >= 8);
        steps.how = away ? Requantization::kTwiceAway : Requantization::kTwice;
        const double unit = std::ldexp(static_cast<double>(rule.multiplier), rule.shift - 31);
        for (int i = 0; i < 400; ++i) {
          // Around whole numbers and halves, where roundings differ.
          const double near = (static_cast<int>(random() % 1200) - 600) * 0.5;
          const int64_t sum = static_cast<int64_t>(near / unit) + static_cast<int>(random() % 5) - 2;
          ASSERT_EQ(Requantize(rule, channels.range, sum), Requantize(steps, channels.range, sum))
              << "row " << row << " shift " << rule.shift << " sum " << sum;
        }
      }
    }
  }
}

TEST(Int16Conv2D, TheForcedArchIsTheOneThatRuns) {
  Layer layer;
  Build(SpecOf(Encoding::kRowBand, 4, 4, 2), {}, {1, 8, 16}, 1, &layer);
  for (const Arch arch : SupportedArchs()) {
    Int16Conv2DPlan plan;
    ASSERT_TRUE(plan.Prepare(layer.weights(), layer.bias(), {1, 8, 16}, arch, 1).ok());
    const std::string expected =
        arch == Arch::kReference ? "reference_int16" : std::string("planes_int16/") + ArchName(arch);
    EXPECT_EQ(plan.kernel_name(), expected);
    Int16Conv2DPlan single;
    ASSERT_TRUE(single.Prepare(layer.weights(), layer.bias(), {1, 1, 1}, arch, 1).ok());
    if (arch == Arch::kReference) continue;
    EXPECT_EQ(single.kernel_name(), std::string("pixel_int16/") + ArchName(arch));
  }
}

}  // namespace
}  // namespace tfprune
