// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/conv2d/conv2d.h"

#include <gtest/gtest.h>
#include <math.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "tflite_ops/testing/guarded_packed.h"
#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {
namespace {

// A dense convolution over the decoded matrix in double: knows nothing of lines, groups or planes.
std::vector<double> DenseConv2D(const PackedSpec& spec, const std::vector<float>& dense, const ConvShape& shape,
                                const float* x, const float* bias, std::vector<double>* magnitude) {
  const uint32_t columns = spec.kernel_h * spec.kernel_w * spec.in_channels;
  std::vector<double> y;
  for (uint32_t n = 0; n < shape.out.batch; ++n) {
    for (uint32_t oy = 0; oy < shape.out.height; ++oy) {
      for (uint32_t ox = 0; ox < shape.out.width; ++ox) {
        for (uint32_t r = 0; r < spec.out_channels; ++r) {
          double sum = bias == nullptr ? 0.0 : bias[r], size = fabs(sum);
          for (uint32_t column = 0; column < columns; ++column) {
            const int tap = static_cast<int>(column / spec.in_channels),
                      c = static_cast<int>(column % spec.in_channels);
            const int kh = tap / static_cast<int>(spec.kernel_w), kw = tap % static_cast<int>(spec.kernel_w);
            const int iy =
                static_cast<int>(oy * spec.stride_h + kh * spec.dilation_h) - static_cast<int>(shape.pad_top);
            const int ix =
                static_cast<int>(ox * spec.stride_w + kw * spec.dilation_w) - static_cast<int>(shape.pad_left);
            if (iy < 0 || ix < 0 || iy >= static_cast<int>(shape.in.height) || ix >= static_cast<int>(shape.in.width))
              continue;
            const size_t at = ((size_t{n} * shape.in.height + iy) * shape.in.width + ix) * spec.in_channels + c;
            const double term = static_cast<double>(dense[size_t{r} * columns + column]) * x[at];
            sum += term;
            size += fabs(term);
          }
          const bool one = spec.activation == Activation::kReluN1To1;
          if (spec.activation != Activation::kNone) sum = std::max(sum, one ? -1.0 : 0.0);
          if (spec.activation == Activation::kRelu6 || one) sum = std::min(sum, one ? 1.0 : 6.0);
          y.push_back(sum);
          magnitude->push_back(size);
        }
      }
    }
  }
  return y;
}

std::vector<Arch> SupportedArchs() {
  std::vector<Arch> archs;
  for (const Arch arch : {Arch::kReference, Arch::kSse2, Arch::kAvx2, Arch::kAvx512, Arch::kNeon}) {
    if (IsSupported(arch)) archs.push_back(arch);
  }
  return archs;
}

// Whatever tuning may choose gives the same bytes.
void CheckAlternatives(const Conv2DPlan& plan, const PackedWeights& weights, const ImageSize& in, Arch arch,
                       uint32_t threads, const float* x, const float* bias, const std::vector<float>& expected,
                       const std::string& where) {
  ConvChoice choices[kMaxConvChoices];
  const uint32_t count = plan.Alternatives(choices);
  ASSERT_LE(count, kMaxConvChoices);
  ThreadPool pool;
  Workspace workspace;
  for (uint32_t i = 0; i < count; ++i) {
    Conv2DPlan other;
    const Status prepared = other.Prepare(weights, in, arch, threads, Precision::kF32, choices[i]);
    ASSERT_TRUE(prepared.ok()) << prepared.message << where;
    Guarded<float> y(expected.size());
    std::fill(y.data(), y.data() + y.size(), NAN);
    ASSERT_TRUE(other.Run(x, bias, y.data(), &pool, &workspace));
    ASSERT_EQ(memcmp(y.data(), expected.data(), expected.size() * sizeof(float)), 0)
        << where << " tile " << choices[i].tile << " strip rows " << choices[i].strip_rows;
  }
}

// One case on every arch and several thread counts against the dense oracle, buffers ending at guard pages.
void Check(const PackedSpec& spec, const ImageSize& in, bool with_bias, uint32_t seed) {
  std::mt19937 random(seed);
  const Packed packed = BuildPacked(spec, &random);
  GuardedPacked guarded(packed.bytes);
  PackedWeights& weights = guarded.weights;
  ASSERT_TRUE(guarded.status.ok()) << guarded.status.message;
  ConvShape shape;
  ASSERT_TRUE(InferConvShape(weights, in, &shape).ok());
  std::uniform_real_distribution<float> value(-2.0f, 2.0f);
  Guarded<float> x(size_t{in.batch} * in.height * in.width * spec.in_channels), bias(spec.out_channels);
  for (size_t i = 0; i < x.size(); ++i) x[i] = value(random);
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = value(random);
  const float* bias_data = with_bias ? bias.data() : nullptr;
  std::vector<double> magnitude;
  const std::vector<double> expected = DenseConv2D(spec, packed.dense, shape, x.data(), bias_data, &magnitude);
  ThreadPool pool;
  Workspace workspace;
  for (const Arch arch : SupportedArchs()) {
    std::vector<float> one_thread;
    for (const uint32_t threads : {1u, 2u, 5u}) {
      Conv2DPlan plan;
      const Status prepared = plan.Prepare(weights, in, arch, threads);
      ASSERT_TRUE(prepared.ok()) << prepared.message;
      const std::string where = spec.Name() + " in " + std::to_string(in.batch) + "x" + std::to_string(in.height) +
                                "x" + std::to_string(in.width) + " " + plan.kernel_name() + " threads " +
                                std::to_string(threads) + " seed " + std::to_string(seed);
      Guarded<float> y(expected.size());
      std::fill(y.data(), y.data() + y.size(), NAN);
      ASSERT_TRUE(plan.Run(x.data(), bias_data, y.data(), &pool, &workspace));
      for (size_t i = 0; i < expected.size(); ++i) {
        // Each of n rounded additions errs by at most half an epsilon of the sum of magnitudes.
        const double tolerance = 1e-6 + magnitude[i] * 1.2e-7 * 40;
        ASSERT_NEAR(y[i], expected[i], tolerance) << where << " at " << i;
      }
      if (threads == 1) one_thread.assign(y.data(), y.data() + y.size());
      for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(y[i], one_thread[i]) << where << " at " << i;
      CheckAlternatives(plan, weights, in, arch, threads, x.data(), bias_data, one_thread, where);
    }
  }
}

// Sizes round the vector widths 4, 8 and 16 and the 64 rows of scratch.
constexpr Encoding kEncodings[] = {Encoding::kRowBand, Encoding::kSlidingRow, Encoding::kBlockRows,
                                   Encoding::kBlockColumns};
constexpr uint32_t kChannelSizes[] = {1, 3, 4, 5, 15, 16, 17, 33, 70, 130};

TEST(Conv2D, EveryEncodingAndGroupSize) {
  uint32_t seed = 1;
  for (const Encoding encoding : {Encoding::kRowBand, Encoding::kSlidingRow}) {
    for (const uint32_t rows : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u, 12u, 16u, 24u}) {
      if (encoding == Encoding::kSlidingRow && rows > kMaxSlidingRows) continue;
      for (const uint32_t channels : kChannelSizes) {
        if (channels < rows) continue;
        PackedSpec spec;
        spec.encoding = encoding;
        spec.out_channels = channels;
        spec.in_channels = kChannelSizes[seed % 10];
        spec.group_rows = rows;
        spec.group_cols = 1 + seed % std::min(4u, spec.in_channels);
        spec.activation = static_cast<Activation>(seed % 4);
        Check(spec, {1 + seed % 3, 1 + seed % 7, 1 + seed % 11}, seed % 4 != 0, seed);
        if (HasFatalFailure()) return;
        ++seed;
      }
    }
  }
}

TEST(Conv2D, BlocksOfEverySize) {
  uint32_t seed = 500;
  for (const uint32_t rows : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u, 12u, 16u}) {
    for (const uint32_t channels : kChannelSizes) {
      for (const Encoding encoding : {Encoding::kBlockRows, Encoding::kBlockColumns}) {
        PackedSpec spec;
        spec.encoding = encoding;
        spec.out_channels = channels;
        spec.in_channels = kChannelSizes[seed % 10];
        spec.group_rows = encoding == Encoding::kBlockColumns ? 1 : std::min(rows, channels);
        spec.band_rows = 1 + seed * 7 % kMaxBandRows;
        spec.kernel_h = spec.kernel_w = seed % 3 == 0 ? 3 : 1;
        spec.stride_h = spec.stride_w = 1 + seed % 5 / 4;
        spec.density = seed % 7 == 0 ? 0.05 : 0.4;
        spec.activation = static_cast<Activation>(seed % 4);
        Check(spec, {1 + seed % 3, 1 + seed % 7, 1 + seed % 11}, seed % 4 != 0, seed);
        if (HasFatalFailure()) return;
        ++seed;
      }
    }
  }
}

TEST(Conv2D, BlocksInManyStripsAndTiles) {
  PackedSpec spec;
  spec.encoding = Encoding::kBlockRows;
  spec.out_channels = 150;
  spec.in_channels = 20;
  spec.kernel_h = spec.kernel_w = 3;
  spec.group_rows = 16;
  spec.band_rows = 64;
  Check(spec, {2, 31, 37}, true, 7);
  spec.encoding = Encoding::kBlockColumns;
  spec.group_rows = 1;
  spec.band_rows = 48;
  spec.stride_h = spec.stride_w = 2;
  Check(spec, {1, 60, 45}, true, 8);
}

TEST(Conv2D, EveryKernelStrideDilationAndPadding) {
  uint32_t seed = 1000;
  for (const uint32_t kernel_h : {1u, 2u, 3u, 5u}) {
    for (const uint32_t kernel_w : {1u, 3u, 7u}) {
      for (const uint32_t stride : {1u, 2u, 3u}) {
        for (const uint32_t dilation : {1u, 2u, 3u}) {
          for (const Padding padding : {Padding::kSame, Padding::kValid}) {
            PackedSpec spec;
            spec.encoding = seed % 2 == 0 ? Encoding::kRowBand : Encoding::kSlidingRow;
            spec.out_channels = 5 + seed % 8;
            spec.in_channels = 1 + seed % 5;
            spec.kernel_h = kernel_h;
            spec.kernel_w = kernel_w;
            spec.stride_h = stride;
            spec.stride_w = 1 + (stride + seed) % 3;
            spec.dilation_h = dilation;
            spec.dilation_w = 1 + (dilation + seed) % 2;
            spec.padding = padding;
            const uint32_t extent_h = (kernel_h - 1) * spec.dilation_h + 1,
                           extent_w = (kernel_w - 1) * spec.dilation_w + 1;
            const bool valid = padding == Padding::kValid;
            Check(spec, {1 + seed % 2, (valid ? extent_h : 1) + seed % 9, (valid ? extent_w : 1) + seed % 13}, true,
                  seed);
            if (HasFatalFailure()) return;
            ++seed;
          }
        }
      }
    }
  }
}

// More columns than one part holds, more rows than the scratch, groups that cross the border of two parts.
TEST(Conv2D, SingleRowsOfManyColumns) {
  uint32_t seed = 2000;
  for (const uint32_t kernel : {1u, 3u}) {
    for (const uint32_t cols : {1u, 3u}) {
      for (const double density : {0.01, 0.3}) {
        PackedSpec spec;
        spec.out_channels = 150;
        spec.in_channels = kernel == 1 ? 2100 : 300;
        spec.kernel_h = spec.kernel_w = kernel;
        spec.group_rows = 1;
        spec.group_cols = cols;
        spec.density = density;
        spec.activation = Activation::kRelu6;
        Check(spec, {1, 5, 14}, true, seed);
        if (HasFatalFailure()) return;
        ++seed;
      }
    }
  }
}

TEST(Conv2D, ManyStripsAndTiles) {
  PackedSpec spec;
  spec.out_channels = 24;
  spec.in_channels = 40;
  spec.kernel_h = spec.kernel_w = 3;
  spec.group_rows = 8;
  spec.density = 0.1;
  Check(spec, {2, 61, 67}, true, 7);
  spec.encoding = Encoding::kSlidingRow;
  spec.group_rows = 4;
  spec.stride_h = spec.stride_w = 2;
  Check(spec, {1, 90, 45}, true, 8);
}

TEST(Conv2D, AllZeroAndAllKept) {
  for (const double density : {0.0, 1.0}) {
    for (const Encoding encoding : kEncodings) {
      PackedSpec spec;
      spec.encoding = encoding;
      if (encoding == Encoding::kBlockColumns) spec.group_rows = 1;
      spec.out_channels = 19;
      spec.in_channels = 6;
      spec.kernel_h = spec.kernel_w = 3;
      spec.density = density * 16;  // sliding-row divides by group_rows
      spec.density = std::min(spec.density, encoding == Encoding::kSlidingRow ? 4.0 : 1.0);
      Check(spec, {1, 9, 9}, true, 21);
      spec.kernel_h = spec.kernel_w = 1;
      Check(spec, {1, 1, 1}, false, 22);
    }
  }
}

TEST(Conv2D, ValidKernelLargerThanImageIsRefused) {
  PackedSpec spec;
  spec.out_channels = 4;
  spec.kernel_h = 5;
  spec.padding = Padding::kValid;
  std::mt19937 random(1);
  const Packed packed = BuildPacked(spec, &random);
  PackedWeights weights;
  ASSERT_TRUE(ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &weights).ok());
  Conv2DPlan plan;
  const Status status = plan.Prepare(weights, {1, 4, 4}, DetectedArch(), 1);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(std::string(status.message).find("kernel reaches over 5"), std::string::npos) << status.message;
}

// The dense op lets a NaN through its activation; so must every kernel, or a broken input would look like a number.
TEST(Conv2D, NanPassesThroughEveryActivation) {
  for (const Activation activation :
       {Activation::kNone, Activation::kRelu, Activation::kReluN1To1, Activation::kRelu6}) {
    for (const Encoding encoding : kEncodings) {
      for (const uint32_t width : {1u, 40u}) {
        PackedSpec spec;
        spec.encoding = encoding;
        spec.out_channels = 8;
        spec.in_channels = 4;
        spec.activation = activation;
        spec.density = encoding == Encoding::kSlidingRow ? 4.0 : 1.0;
        if (encoding == Encoding::kBlockColumns) spec.group_rows = 1;
        std::mt19937 random(3);
        const Packed packed = BuildPacked(spec, &random);
        PackedWeights weights;
        ASSERT_TRUE(ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &weights).ok());
        const std::vector<float> x(width * 4, NAN);
        ThreadPool pool;
        Workspace workspace;
        for (const Arch arch : SupportedArchs()) {
          Conv2DPlan plan;
          ASSERT_TRUE(plan.Prepare(weights, {1, 1, width}, arch, 1).ok());
          std::vector<float> y(width * 8, 0.0f);
          ASSERT_TRUE(plan.Run(x.data(), nullptr, y.data(), &pool, &workspace));
          for (size_t i = 0; i < y.size(); ++i) {
            // A row of blocks may have no weight at all; rows of the other encodings have every one.
            const float* row = packed.dense.data() + i % 8 * 4;
            const bool kept = std::any_of(row, row + 4, [](float weight) { return weight != 0; });
            EXPECT_EQ(std::isnan(y[i]), kept) << plan.kernel_name();
          }
        }
      }
    }
  }
}

// Kernel rows that far apart would need planes of that size; kernel columns have planes of their own.
TEST(Conv2D, HugeDilationsAreRefusedOrRight) {
  for (const uint32_t dilation : {0x7fffffffu, 0x7ffffff0u, 0x3fffffffu, 0x10000000u, 0xffffffffu}) {
    for (const bool rows : {false, true}) {
      PackedSpec spec;
      spec.out_channels = 4;
      spec.kernel_h = spec.kernel_w = 3;
      (rows ? spec.dilation_h : spec.dilation_w) = dilation;
      std::mt19937 random(1);
      const Packed packed = BuildPacked(spec, &random);
      PackedWeights weights;
      Conv2DPlan plan;
      const bool read = ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &weights).ok();
      if (!read || !plan.Prepare(weights, {1, 6, 6}, DetectedArch(), 1).ok()) continue;
      EXPECT_FALSE(rows && DetectedArch() != Arch::kReference);  // which needs no planes
      const std::vector<float> x(36, 1.0f);
      std::vector<float> y(36 * 4), expected(36 * 4);
      ThreadPool pool;
      Workspace workspace;
      ASSERT_TRUE(plan.Run(x.data(), nullptr, y.data(), &pool, &workspace));
      ReferenceConv2D(weights, plan.shape(), x.data(), nullptr, expected.data());
      for (size_t i = 0; i < y.size(); ++i) ASSERT_FLOAT_EQ(y[i], expected[i]) << dilation << " at " << i;
    }
  }
}

TEST(Conv2D, TheForcedArchIsTheOneThatRuns) {
  PackedSpec spec;
  spec.out_channels = 8;
  spec.in_channels = 8;
  std::mt19937 random(1);
  const Packed packed = BuildPacked(spec, &random);
  PackedWeights weights;
  ASSERT_TRUE(ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &weights).ok());
  for (const Arch arch : SupportedArchs()) {
    Conv2DPlan plan;
    ASSERT_TRUE(plan.Prepare(weights, {1, 8, 8}, arch, 1).ok());
    EXPECT_NE(std::string(plan.kernel_name()).find(ArchName(arch)), std::string::npos);
  }
}

TEST(Conv2D, AnArchWithoutKernelsIsRefusedAndNotReplaced) {
  std::mt19937 random(1);
  PackedSpec spec;
  spec.out_channels = spec.in_channels = 8;
  const Packed packed = BuildPacked(spec, &random);
  PackedWeights weights;
  ASSERT_TRUE(ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &weights).ok());
  for (const Arch arch : {Arch::kSse2, Arch::kAvx2, Arch::kAvx512, Arch::kNeon}) {
    const bool other = arch == Arch::kNeon ? IsSupported(Arch::kSse2) : IsSupported(Arch::kNeon);
    if (!other) continue;
    Conv2DPlan plan, tiled, empty;
    const Status status = plan.Prepare(weights, {1, 8, 8}, arch, 1);
    EXPECT_EQ(std::string(status.message),
              std::string("convolution: ") + ArchName(arch) + " has no kernel for these weights");
    ConvShape shape;
    ASSERT_TRUE(InferConvShape(weights, {1, 8, 8}, &shape).ok());
    EXPECT_FALSE(tiled.PrepareTiled(weights, shape, arch, 16, 64, 8, 1).ok());
    EXPECT_TRUE(empty.Prepare(weights, {0, 8, 8}, arch, 1).ok());
  }
}

}  // namespace
}  // namespace tfprune
