// SPDX-License-Identifier: Apache-2.0
// Runs int8 convolutions on every arch and compares them with sums over the decoded matrix.
#ifndef TFPRUNE_KERNELS_CONV2D_INT8_INT8_CHECKS_H_
#define TFPRUNE_KERNELS_CONV2D_INT8_INT8_CHECKS_H_

#include <gtest/gtest.h>
#include <math.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "tflite_ops/kernels/conv2d_int8/conv2d_int8.h"
#include "tflite_ops/testing/guarded_packed.h"
#include "tflite_ops/testing/layer_cases.h"
#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {

inline std::vector<Arch> SupportedArchs() {
  std::vector<Arch> archs = {Arch::kReference};
#define TFPRUNE_INT8_ISA(name, value) \
  if (IsSupported(Arch::value)) archs.push_back(Arch::value);
#include "tflite_ops/kernels/planar_int8/isa.inc"
#undef TFPRUNE_INT8_ISA
  return archs;
}

// Exact sums over the decoded matrix of (x - zero), [pixel][row]; knows nothing of lines, groups, operands or planes.
inline std::vector<double> DenseSums(const PackedSpec& spec, const std::vector<float>& dense, const ConvShape& shape,
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

inline double Clip(double value, double low, double high) { return std::min(std::max(value, low), high); }

// Requantisation as docs/formats.md says it.
inline int Requantized(const PackedSpec& spec, uint32_t row, double sum) {
  const float factor = spec.input_scale * (0.001f * static_cast<float>(1 + row % 7)) / spec.output_scale;
  const double zero = spec.output_zero_point;
  double low = -128, high = 127;
  const bool one = spec.activation == Activation::kReluN1To1;
  const double bound = std::nearbyint((one ? 1.0f : 6.0f) / spec.output_scale);
  if (spec.activation != Activation::kNone) low = one ? std::max(-128.0, zero - bound) : zero;
  if (spec.activation == Activation::kRelu6 || one) high = std::min(127.0, zero + bound);
  return static_cast<int>(Clip(std::nearbyint(static_cast<float>(sum) * factor) + zero, low, high));
}

struct Prepared {
  Packed packed;
  std::unique_ptr<GuardedPacked> guarded;
  const PackedWeights* weights = nullptr;
  ConvShape shape;
};

inline void Build(const PackedSpec& spec, const ImageSize& in, std::mt19937* random, Prepared* built) {
  built->packed = BuildPacked(spec, random);
  built->guarded.reset(new GuardedPacked(built->packed.bytes));
  ASSERT_TRUE(built->guarded->status.ok()) << built->guarded->status.message;
  built->weights = &built->guarded->weights;
  ASSERT_TRUE(InferConvShape(*built->weights, in, &built->shape).ok());
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
      const Status prepared = plan.Prepare(*built.weights, bias, in, arch, threads);
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

// int8 weights and activations, with scales and zero points at random.
inline void UseInt8Activations(uint32_t seed, std::mt19937* random, PackedSpec* spec) {
  spec->value_type = ValueType::kInt8;
  spec->int8_activations = true;
  spec->input_zero_point = static_cast<int>((*random)() % 256) - 128;
  spec->output_zero_point = static_cast<int>((*random)() % 100) - 50;
  spec->output_scale = 0.05f + 0.01f * static_cast<float>(seed % 40);
}

inline void CheckInt8(PackedSpec spec, const ImageSize& in, bool with_bias, uint32_t seed) {
  std::mt19937 random(seed);
  UseInt8Activations(seed, &random, &spec);
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

// A layer of each builtin rounding: what every arch and the reference must agree on, and the 16-bit kernels, too.
inline void CheckBuiltin(PackedSpec spec, const ImageSize& in, uint32_t seed) {
  const Rounding roundings[] = {Rounding::kBuiltin, Rounding::kBuiltinChannels, Rounding::kBuiltinAway};
  std::mt19937 random(seed);
  UseInt8Activations(seed, &random, &spec);
  Prepared built;
  Build(spec, in, &random, &built);
  PackedWeights& w = built.guarded->weights;
  w.rounding = roundings[seed % 3];
  w.stock_channels = w.rounding == Rounding::kBuiltinChannels ? w.out_channels : 0;
  Guarded<int8_t> x(size_t{in.batch} * in.height * in.width * spec.in_channels);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<int8_t>(random() % 256);
  Guarded<int32_t> bias(spec.out_channels);
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<int32_t>(random() % 40000) - 20000;
  const size_t pixels = size_t{built.shape.out.batch} * built.shape.out.height * built.shape.out.width;
  std::vector<int8_t> expected(pixels * spec.out_channels);
  Int16Channels channels;
  ASSERT_TRUE(PrepareChannels(w, IntegerBias{bias.data(), false}, RoundsTwice(w, pixels), &channels).ok());
  if (w.in_blocks()) return;
  ASSERT_TRUE(ReferenceInt16Conv2D(w, channels, built.shape, x.data(), expected.data()));
  RunEverywhere<int8_t>(spec, built, in, x.data(), bias.data(), [&](size_t i, int8_t y, const std::string& where) {
    ASSERT_EQ(y, expected[i]) << where << " at " << i;
  });
}

inline void CheckDynamic(PackedSpec spec, const ImageSize& in, uint32_t seed) {
  std::mt19937 random(seed);
  spec.value_type = ValueType::kInt8;
  spec.int8_activations = false;
  Prepared built;
  Build(spec, in, &random, &built);
  std::uniform_real_distribution<float> value(-1.0f, 2.0f);
  const size_t pixels = size_t{in.height} * in.width;
  const bool per_pixel = IsPointwise(*built.weights);
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
    const bool one = spec.activation == Activation::kReluN1To1;
    if (spec.activation != Activation::kNone) expected = std::max(expected, one ? -1.0 : 0.0);
    if (spec.activation == Activation::kRelu6 || one) expected = std::min(expected, one ? 1.0 : 6.0);
    ASSERT_NEAR(y, expected, 1e-6 + 1e-6 * (fabs(product) + fabs(bias[row]))) << where << " at " << i;
  });
}

inline PackedSpec SpecOf(Encoding encoding, uint32_t rows, uint32_t cols, uint32_t seed) {
  PackedSpec spec = SizedSpec(encoding, rows, cols, seed);
  spec.activation = static_cast<Activation>(seed % 4);
  return spec;
}

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_CONV2D_INT8_INT8_CHECKS_H_
