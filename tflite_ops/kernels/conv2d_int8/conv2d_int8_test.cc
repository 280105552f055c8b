// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/conv2d_int8/conv2d_int8.h"

#include <gtest/gtest.h>
#include <math.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "tflite_ops/testing/guarded.h"
#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {
namespace {

std::vector<Arch> SupportedArchs() {
  std::vector<Arch> archs = {Arch::kReference};
#define TFPRUNE_INT8_ISA(name, value) \
  if (IsSupported(Arch::value)) archs.push_back(Arch::value);
#include "tflite_ops/kernels/planar_int8/isa.inc"
#undef TFPRUNE_INT8_ISA
  return archs;
}

// Exact sums over the decoded matrix of (x - zero), [pixel][row]; knows nothing of lines, groups, operands or planes.
std::vector<double> DenseSums(const PackedSpec& spec, const std::vector<float>& dense, const ConvShape& shape,
                              const std::vector<double>& x) {
  const uint32_t columns = spec.kernel_h * spec.kernel_w * spec.in_channels;
  std::vector<double> sums;
  for (uint32_t pixel = 0; pixel < shape.out.batch * shape.out.height * shape.out.width; ++pixel) {
    const uint32_t n = pixel / shape.out.width / shape.out.height;
    const uint32_t oy = pixel / shape.out.width % shape.out.height, ox = pixel % shape.out.width;
    for (uint32_t r = 0; r < spec.out_channels; ++r) {
      double sum = 0;
      for (uint32_t column = 0; column < columns; ++column) {
        const uint32_t tap = column / spec.in_channels, c = column % spec.in_channels;
        const int64_t iy = int64_t{oy} * spec.stride_h + tap / spec.kernel_w * spec.dilation_h - shape.pad_top;
        const int64_t ix = int64_t{ox} * spec.stride_w + tap % spec.kernel_w * spec.dilation_w - shape.pad_left;
        if (iy < 0 || ix < 0 || iy >= shape.in.height || ix >= shape.in.width) continue;
        const size_t at = ((size_t{n} * shape.in.height + iy) * shape.in.width + ix) * spec.in_channels + c;
        sum += static_cast<double>(dense[size_t{r} * columns + column]) * x[at];
      }
      sums.push_back(sum);
    }
  }
  return sums;
}

double Clip(double value, double low, double high) { return std::min(std::max(value, low), high); }

// Requantisation as docs/formats.md says it.
int Requantized(const PackedSpec& spec, uint32_t row, double sum) {
  const float factor = spec.input_scale * (0.001f * static_cast<float>(1 + row % 7)) / spec.output_scale;
  const double zero = spec.output_zero_point;
  double low = -128, high = 127;
  if (spec.activation != Activation::kNone) low = zero;
  if (spec.activation == Activation::kRelu6) high = std::min(127.0, std::nearbyint(6.0f / spec.output_scale) + zero);
  return static_cast<int>(Clip(std::nearbyint(static_cast<float>(sum) * factor) + zero, low, high));
}

struct Prepared {
  Packed packed;
  std::unique_ptr<Guarded<uint8_t>> bytes;  // the packed weights, which end with the values, before a guard page
  PackedWeights weights;
  ConvShape shape;
};

void Build(const PackedSpec& spec, const ImageSize& in, std::mt19937* random, Prepared* built) {
  built->packed = BuildPacked(spec, random);
  built->bytes.reset(new Guarded<uint8_t>(built->packed.bytes));
  const Status read = ReadPackedWeights(built->bytes->data(), built->bytes->size(), &built->weights);
  ASSERT_TRUE(read.ok()) << read.message;
  // Read in place: nothing was copied away from the guard page.
  ASSERT_EQ(static_cast<const void*>(built->weights.bytes + built->weights.value_count),
            built->bytes->data() + built->bytes->size());
  ASSERT_TRUE(InferConvShape(built->weights, in, &built->shape).ok());
}

// Runs the plan on every arch and several thread counts; outputs end at a guard page and must all be the same bytes.
template <typename T, typename Check>
void RunEverywhere(const PackedSpec& spec, const Prepared& built, const ImageSize& in, const void* x, const void* bias,
                   Check check) {
  ThreadPool pool;
  Workspace workspace;
  const size_t count =
      size_t{built.shape.out.batch} * built.shape.out.height * built.shape.out.width * spec.out_channels;
  for (const Arch arch : SupportedArchs()) {
    std::vector<T> first;
    for (const uint32_t threads : {1u, 2u, 5u}) {
      Int8Conv2DPlan plan;
      const Status prepared = plan.Prepare(built.weights, bias, in, arch, threads);
      ASSERT_TRUE(prepared.ok()) << prepared.message;
      Guarded<T> y(count);
      memset(y.data(), 0x55, count * sizeof(T));
      ASSERT_TRUE(plan.Run(x, y.data(), &pool, &workspace));
      const std::string where = spec.Name() + " in " + std::to_string(in.batch) + "x" + std::to_string(in.height) +
                                "x" + std::to_string(in.width) + " " + plan.kernel_name() + " threads " +
                                std::to_string(threads);
      for (size_t i = 0; i < count; ++i) check(i, y[i], where);
      if (::testing::Test::HasFatalFailure()) return;
      if (threads == 1) first.assign(y.data(), y.data() + count);
      for (size_t i = 0; i < count; ++i) ASSERT_EQ(y[i], first[i]) << where << " at " << i;
    }
  }
}

void CheckInt8(PackedSpec spec, const ImageSize& in, bool with_bias, uint32_t seed) {
  std::mt19937 random(seed);
  spec.value_type = ValueType::kInt8;
  spec.int8_activations = true;
  spec.input_zero_point = static_cast<int>(random() % 256) - 128;
  spec.output_zero_point = static_cast<int>(random() % 100) - 50;
  spec.output_scale = 0.05f + 0.01f * static_cast<float>(seed % 40);
  Prepared built;
  Build(spec, in, &random, &built);
  Guarded<int8_t> x(size_t{in.batch} * in.height * in.width * spec.in_channels);
  std::vector<double> centred(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<int8_t>(random() % 256);
    centred[i] = x[i] - spec.input_zero_point;
  }
  Guarded<int32_t> bias(spec.out_channels);
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = with_bias ? static_cast<int32_t>(random() % 40000) - 20000 : 0;
  const std::vector<double> sums = DenseSums(spec, built.packed.dense, built.shape, centred);
  RunEverywhere<int8_t>(spec, built, in, x.data(), with_bias ? bias.data() : nullptr,
                        [&](size_t i, int8_t y, const std::string& where) {
                          const uint32_t row = static_cast<uint32_t>(i % spec.out_channels);
                          ASSERT_EQ(y, Requantized(spec, row, sums[i] + bias[row])) << where << " at " << i;
                        });
}

void CheckDynamic(PackedSpec spec, const ImageSize& in, uint32_t seed) {
  std::mt19937 random(seed);
  spec.value_type = ValueType::kInt8;
  spec.int8_activations = false;
  Prepared built;
  Build(spec, in, &random, &built);
  std::uniform_real_distribution<float> value(-1.0f, 2.0f);
  const size_t pixels = size_t{in.height} * in.width;
  const bool per_pixel = IsPointwise(built.weights);
  const size_t parts = in.batch * (per_pixel ? pixels : 1), count = spec.in_channels * (per_pixel ? 1 : pixels);
  Guarded<float> x(parts * count), bias(spec.out_channels);
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = value(random);
  std::vector<double> centred(x.size()), scales(parts);
  for (size_t part = 0; part < parts; ++part) {
    float low = 0, high = 0;
    const float size = static_cast<float>(1 + part % 5);
    for (size_t i = part * count; i < (part + 1) * count; ++i) {
      x[i] = size * value(random);
      low = std::min(low, x[i]);
      high = std::max(high, x[i]);
    }
    const QuantizedRange range = RangeOf(low, high);
    EXPECT_NEAR(range.scale * 255.0, high - low, 1e-4 * (high - low));
    scales[part] = range.scale;
    for (size_t i = part * count; i < (part + 1) * count; ++i) {
      const double quantized = std::nearbyint(x[i] * range.factor) + range.zero_point;
      centred[i] = Clip(quantized, -128, 127) - range.zero_point;
    }
  }
  const std::vector<double> sums = DenseSums(spec, built.packed.dense, built.shape, centred);
  const size_t out_pixels = size_t{built.shape.out.height} * built.shape.out.width;
  RunEverywhere<float>(spec, built, in, x.data(), bias.data(), [&](size_t i, float y, const std::string& where) {
    const size_t row = i % spec.out_channels, pixel = i / spec.out_channels;
    const double product = sums[i] * scales[per_pixel ? pixel : pixel / out_pixels] * (0.001 * (1 + row % 7));
    double expected = product + bias[row];
    if (spec.activation != Activation::kNone) expected = std::max(expected, 0.0);
    if (spec.activation == Activation::kRelu6) expected = std::min(expected, 6.0);
    ASSERT_NEAR(y, expected, 1e-6 + 1e-6 * (fabs(product) + fabs(bias[row]))) << where << " at " << i;
  });
}

constexpr uint32_t kSizes[] = {1, 3, 4, 5, 8, 15, 16, 17, 33, 70};

PackedSpec SpecOf(Encoding encoding, uint32_t rows, uint32_t cols, uint32_t seed) {
  PackedSpec spec;
  spec.encoding = encoding;
  spec.out_channels = std::max(rows, kSizes[seed % 10]);
  spec.in_channels = std::max(cols, kSizes[seed * 7 % 10]);
  spec.group_rows = rows;
  spec.group_cols = cols;
  spec.density = 0.4;
  spec.activation = seed % 3 == 0 ? Activation::kRelu6 : seed % 3 == 1 ? Activation::kRelu : Activation::kNone;
  return spec;
}

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

TEST(Int8Conv2D, KernelsStridesDilationsAndPadding) {
  uint32_t seed = 1000;
  for (const uint32_t kernel_h : {1u, 2u, 3u}) {
    for (const uint32_t kernel_w : {1u, 3u, 4u}) {
      for (const uint32_t stride : {1u, 2u, 3u}) {
        for (const Padding padding : {Padding::kSame, Padding::kValid}) {
          PackedSpec spec = SpecOf(seed % 2 == 0 ? Encoding::kRowBand : Encoding::kSlidingRow, 1 + seed % 4,
                                   seed % 3 == 0 ? 1 : 4, seed);
          spec.kernel_h = kernel_h;
          spec.kernel_w = kernel_w;
          spec.stride_h = stride;
          spec.stride_w = 1 + (stride + seed) % 3;
          spec.dilation_h = 1 + seed % 2;
          spec.dilation_w = 1 + seed % 3;
          spec.padding = padding;
          const uint32_t extent_h = (kernel_h - 1) * spec.dilation_h + 1;
          const uint32_t extent_w = (kernel_w - 1) * spec.dilation_w + 1;
          const bool valid = padding == Padding::kValid;
          const ImageSize in = {1 + seed % 2, (valid ? extent_h : 1) + seed % 9, (valid ? extent_w : 1) + seed % 13};
          CheckInt8(spec, in, true, seed);
          if (HasFatalFailure()) return;
          CheckDynamic(spec, in, seed);
          if (HasFatalFailure()) return;
          ++seed;
        }
      }
    }
  }
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
        if (HasFatalFailure()) return;
        CheckDynamic(spec, {1, 1, 1}, seed);
        if (HasFatalFailure()) return;
        ++seed;
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
    memset(packed.bytes.data() + (packed.bytes.size() - weights.value_count), 0x80, weights.value_count);
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
