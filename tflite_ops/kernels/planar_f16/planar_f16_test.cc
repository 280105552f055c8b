// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/planar_f16/planar_f16.h"

#include <gtest/gtest.h>
#include <math.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tflite_ops/formats/half.h"
#include "tflite_ops/kernels/conv2d/conv2d.h"
#include "tflite_ops/testing/guarded_packed.h"
#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {
namespace {

constexpr double kRounding = 1.0 / 2048;        // relative, of one value in float16
constexpr double kSmallest = 1.0 / (1u << 24);  // of a value or sum near zero

enum class Values { kRandom, kWhole };

// One layer with its inputs at guard pages, and the float32 oracle over the same values.
struct Layer {
  Packed packed;
  GuardedPacked guarded;
  PackedWeights& weights;
  ConvShape shape = {};
  Guarded<float> x, bias;

  Layer(const PackedSpec& spec, const ImageSize& in, Values values, uint32_t seed)
      : Layer(spec, in, values, std::mt19937(seed)) {}

  size_t outputs() const { return size_t{shape.out.batch} * shape.out.height * shape.out.width * weights.out_channels; }

  std::vector<float> Reference() {
    std::vector<float> y(outputs());
    ReferenceConv2D(weights, shape, x.data(), bias.data(), y.data());
    return y;
  }

  // The most that float16 may be away: n rounded sums, and the rounding of input and weight of every product, each by
  // a relative kRounding of the sum of magnitudes.
  std::vector<double> Tolerance() {
    PackedWeights sizes;
    EXPECT_TRUE(ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &sizes).ok());
    std::vector<float> magnitudes(weights.values, weights.values + weights.value_count), inputs(x.size());
    for (float& value : magnitudes) value = fabsf(value);
    for (size_t i = 0; i < inputs.size(); ++i) inputs[i] = fabsf(x[i]);
    std::vector<float> offsets(bias.size()), sums(outputs());
    for (size_t i = 0; i < offsets.size(); ++i) offsets[i] = fabsf(bias[i]);
    sizes.values = magnitudes.data();
    sizes.activation = Activation::kNone;
    ReferenceConv2D(sizes, shape, inputs.data(), offsets.data(), sums.data());
    const double terms = MostTerms() + 3;
    std::vector<double> tolerance;
    for (const float sum : sums) tolerance.push_back(terms * (kRounding * sum * 1.01 + 3 * kSmallest));
    return tolerance;
  }

  double MostTerms() {
    std::vector<double> terms(weights.out_channels);
    ForEachWeight(weights, [&](uint32_t row, uint32_t, size_t) { terms[row] += 1; });
    return *std::max_element(terms.begin(), terms.end());
  }

 private:
  Layer(const PackedSpec& spec, const ImageSize& in, Values values, std::mt19937 random)
      : packed(BuildPacked(spec, &random)),
        guarded(packed.bytes),
        weights(guarded.weights),
        x(size_t{in.batch} * in.height * in.width * spec.in_channels),
        bias(spec.out_channels) {
    EXPECT_TRUE(guarded.status.ok()) << guarded.status.message;
    EXPECT_TRUE(ExpandHalves(&weights, nullptr, 1).ok());
    EXPECT_TRUE(InferConvShape(weights, in, &shape).ok());
    std::uniform_real_distribution<float> value(-2.0f, 2.0f);
    const auto next = [&] {
      return values == Values::kWhole ? static_cast<float>(static_cast<int>(random() % 7) - 3) : value(random);
    };
    for (size_t i = 0; i < x.size(); ++i) x[i] = next();
    for (size_t i = 0; i < bias.size(); ++i) bias[i] = next();
    if (values != Values::kWhole || weights.value_type != ValueType::kFloat32) return;
    float* first = const_cast<float*>(weights.values);
    for (uint32_t i = 0; i < weights.value_count; ++i) first[i] = next();
  }
};

std::vector<float> RunLayer(Layer* layer, Precision precision, uint32_t threads, std::string* kernel) {
  Conv2DPlan plan;
  const Status prepared = plan.Prepare(layer->weights, layer->shape.in, DetectedArch(), threads, precision);
  EXPECT_TRUE(prepared.ok()) << prepared.message;
  *kernel = plan.kernel_name();
  Guarded<float> y(layer->outputs());
  std::fill(y.data(), y.data() + y.size(), NAN);
  ThreadPool pool;
  Workspace workspace;
  EXPECT_TRUE(plan.Run(layer->x.data(), layer->bias.data(), y.data(), &pool, &workspace));
  return std::vector<float>(y.data(), y.data() + y.size());
}

void Check(const PackedSpec& spec, const ImageSize& in, Values values, uint32_t seed) {
  Layer layer(spec, in, values, seed);
  const std::vector<float> expected = layer.Reference();
  std::vector<double> tolerance = layer.Tolerance();
  // Whole numbers below 2048 are exact in float16, and so are their sums.
  if (values == Values::kWhole) std::fill(tolerance.begin(), tolerance.end(), 0.0);
  std::vector<float> one_thread;
  for (const uint32_t threads : {1u, 2u, 5u}) {
    std::string kernel;
    const std::vector<float> y = RunLayer(&layer, Precision::kF16, threads, &kernel);
    const std::string where = spec.Name() + " in " + std::to_string(in.height) + "x" + std::to_string(in.width) + " " +
                              kernel + " threads " + std::to_string(threads);
    ASSERT_NE(kernel.find("/neon_fp16"), std::string::npos) << where;
    for (size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], expected[i], tolerance[i]) << where << " at " << i;
    if (threads == 1) one_thread = y;
    ASSERT_EQ(y, one_thread) << where;
  }
}

#define NEEDS_HALVES() \
  if (!HasHalfArithmetic()) GTEST_SKIP() << "no half-precision arithmetic on this machine"

TEST(PlanarF16, KernelsAreThereExactlyWhereTheBuildHasThem) {
#if defined(__aarch64__)
  EXPECT_TRUE(HasHalfArithmetic()) << "these tests run as a Cortex-A76, which has it";
  for (uint32_t rows = 1; rows <= kMaxSlidingRows; ++rows) {
    for (const Encoding encoding : {Encoding::kRowBand, Encoding::kSlidingRow}) {
      EXPECT_NE(GetHalfKernels(encoding, rows).many.runs[0], nullptr);
      EXPECT_LE(GetHalfKernels(encoding, rows).many.tile, kMaxTile);
    }
  }
#else
  EXPECT_FALSE(HasHalfArithmetic());
  EXPECT_EQ(GetHalfKernels(Encoding::kRowBand, 4).many.runs[0], nullptr);
#endif
  EXPECT_EQ(GetHalfKernels(Encoding::kBlockRows, 16).many.runs[0], nullptr);
}

TEST(PlanarF16, EveryGroupSizeAndTileOfAPointwiseLayer) {
  NEEDS_HALVES();
  uint32_t seed = 1;
  for (const Encoding encoding : {Encoding::kRowBand, Encoding::kSlidingRow}) {
    for (const uint32_t rows : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 12u, 16u}) {
      for (const uint32_t width : {9u, 15u, 16u, 17u, 31u, 33u, 63u, 65u, 130u}) {
        PackedSpec spec;
        spec.encoding = encoding;
        spec.out_channels = std::max(rows, 1 + seed * 13 % 90);
        spec.in_channels = 1 + seed * 7 % 40;
        spec.group_rows = rows;
        spec.group_cols = 1 + seed % std::min(3u, spec.in_channels);
        spec.activation = static_cast<Activation>(seed % 4);
        spec.value_type = seed % 5 == 0 ? ValueType::kFloat16 : ValueType::kFloat32;
        const Values values =
            spec.value_type == ValueType::kFloat32 && seed % 2 == 0 ? Values::kWhole : Values::kRandom;
        Check(spec, {1, 1, width}, values, seed++);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(PlanarF16, WindowsStridesDilationsAndBatches) {
  NEEDS_HALVES();
  uint32_t seed = 1000;
  for (const Encoding encoding : {Encoding::kRowBand, Encoding::kSlidingRow}) {
    for (const uint32_t kernel : {1u, 2u, 3u, 5u}) {
      for (const uint32_t stride : {1u, 2u, 3u}) {
        for (const uint32_t dilation : {1u, 2u}) {
          PackedSpec spec;
          spec.encoding = encoding;
          spec.out_channels = 17;
          spec.in_channels = 5 + seed % 9;
          spec.kernel_h = spec.kernel_w = kernel;
          spec.stride_h = spec.stride_w = stride;
          spec.dilation_h = spec.dilation_w = stride == 1 ? dilation : 1;
          spec.padding = seed % 3 == 0 ? Padding::kValid : Padding::kSame;
          spec.group_rows = 1u << seed % 5;
          spec.density = 0.1;
          Check(spec, {1 + seed % 3, 11, 10 + seed % 9}, seed % 2 == 0 ? Values::kWhole : Values::kRandom, seed);
          if (HasFatalFailure()) return;
          ++seed;
        }
      }
    }
  }
}

// NaN and infinity stay where they belong: in the pixel that holds them.
TEST(PlanarF16, WhatIsNotFiniteStaysInItsPixel) {
  NEEDS_HALVES();
  PackedSpec spec;
  spec.out_channels = 16, spec.in_channels = 16, spec.density = 1.0;
  for (const float value : {NAN, INFINITY, -INFINITY, 1e6f}) {
    Layer layer(spec, {1, 1, 50}, Values::kRandom, 7);
    for (uint32_t row = 0; row < spec.out_channels; ++row) ASSERT_NE(layer.packed.dense[row * 16 + 3], 0.0f);
    std::string kernel;
    const std::vector<float> clean = RunLayer(&layer, Precision::kF16, 1, &kernel);
    layer.x[20 * 16 + 3] = value;
    const std::vector<float> y = RunLayer(&layer, Precision::kF16, 1, &kernel);
    for (size_t i = 0; i < y.size(); ++i) {
      if (i / 16 != 20) {
        ASSERT_EQ(y[i], clean[i]);
      } else {
        const float infinite = layer.packed.dense[i % 16 * 16 + 3] > 0 ? INFINITY : -INFINITY;
        const bool same = isnan(value) ? isnan(y[i]) : y[i] == (value < 0 ? -infinite : infinite);
        ASSERT_TRUE(same) << value << " gives " << y[i] << " at " << i;
      }
    }
  }
}

TEST(PlanarF16, HalvesAreRoundedToNearest) {
  NEEDS_HALVES();
  const float in[] = {1.0f, 1.0f + 0x1p-11f, 1.0f + 0x1.8p-10f, 65504.0f, 65520.0f, 0x1p-24f, 0x1p-26f, -0.0f};
  const float expected[] = {1.0f, 1.0f, 1.0f + 0x1p-9f, 65504.0f, INFINITY, 0x1p-24f, 0.0f, -0.0f};
  uint16_t out[8];
  GetHalfKernels(Encoding::kRowBand, 4).to_halves(in, 8, out);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(HalfToFloat(out[i]), expected[i]) << in[i];
}

// Float16 weights are read where they lie; float32 ones are rounded once, by all threads, whatever shapes follow.
TEST(PlanarF16, WeightsInPlaceOrRoundedOnce) {
  NEEDS_HALVES();
  for (const ValueType type : {ValueType::kFloat16, ValueType::kFloat32}) {
    PackedSpec spec;
    spec.value_type = type;
    spec.out_channels = 200, spec.in_channels = 500;
    std::mt19937 random(3);
    const std::vector<uint8_t> bytes = BuildPacked(spec, &random).bytes;
    PackedWeights weights;
    ASSERT_TRUE(ReadPackedWeights(bytes.data(), bytes.size(), &weights).ok());
    ASSERT_GT(weights.value_count, 16384u);
    const bool stored = type == ValueType::kFloat16;
    ThreadPool pool;
    Conv2DPlan plan;
    for (const uint32_t size : {9u, 5u}) {
      const ImageSize in = {1, size, size};
      EXPECT_EQ(Conv2DPlan::ReadsHalves(weights, in, Arch::kNeon, Precision::kF16), stored);
      ASSERT_TRUE(plan.Prepare(weights, in, Arch::kNeon, 2, Precision::kF16, {}, &pool).ok());
      EXPECT_EQ(plan.weight_bytes().in_place, stored ? size_t{2} * weights.value_count : 0);
      EXPECT_EQ(plan.weight_bytes().repacked, stored ? 0 : size_t{2} * weights.value_count);
    }
  }
}

// What has no kernel in float16 gives the bytes of float32, and its name says so.
TEST(PlanarF16, BlocksAndSinglePixelsStayInFloat32) {
  NEEDS_HALVES();
  for (const Encoding encoding : {Encoding::kRowBand, Encoding::kBlockRows, Encoding::kBlockColumns}) {
    PackedSpec spec;
    spec.encoding = encoding;
    spec.out_channels = 40, spec.in_channels = 30;
    spec.group_rows = encoding == Encoding::kBlockColumns ? 1 : 4;
    Layer layer(spec, {1, 1, encoding == Encoding::kRowBand ? 1u : 40u}, Values::kRandom, 9);
    std::string half_name, name;
    EXPECT_EQ(RunLayer(&layer, Precision::kF16, 1, &half_name), RunLayer(&layer, Precision::kF32, 1, &name));
    EXPECT_EQ(half_name, name);
    EXPECT_EQ(name.find("fp16"), std::string::npos);
  }
}

}  // namespace
}  // namespace tfprune
