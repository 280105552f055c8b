// SPDX-License-Identifier: Apache-2.0
// Runs convolutions on uint8 and int16 activations on every arch and compares them with sums over the decoded matrix.
#ifndef TFPRUNE_KERNELS_CONV2D_INT16_INT16_CHECKS_H_
#define TFPRUNE_KERNELS_CONV2D_INT16_INT16_CHECKS_H_

#include <gtest/gtest.h>
#include <math.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "tflite_ops/kernels/conv2d_int16/conv2d_int16.h"
#include "tflite_ops/testing/guarded.h"
#include "tflite_ops/testing/guarded_packed.h"
#include "tflite_ops/testing/layer_cases.h"
#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {

inline std::vector<Arch> SupportedArchs() {
  std::vector<Arch> archs = {Arch::kReference};
#define TFPRUNE_INT16_ISA(name, value) \
  if (IsSupported(Arch::value)) archs.push_back(Arch::value);
#include "tflite_ops/kernels/planar_int16/isa.inc"
#undef TFPRUNE_INT16_ISA
  return archs;
}

// What the layers of a test have beside their PackedSpec.
struct LayerKind {
  bool int16 = true;  // else 8 bits
  bool with_bias = true, wide_bias = true;
  bool extremes = false;                   // every input and weight is the largest of its type
  bool int8 = false;                       // else uint8, where not int16
  Rounding rounding = Rounding::kXnnpack;  // of 8 bits
};

struct Layer {
  PackedSpec spec;
  LayerKind kind;
  std::unique_ptr<GuardedPacked> packed;
  std::vector<uint8_t> unsigned_values;
  std::vector<int64_t> bias64;
  std::vector<int32_t> bias32;
  ConvShape shape;

  PackedWeights& weights() const { return packed->weights; }
  IntegerBias bias() const {
    if (!kind.with_bias) return {};
    return kind.wide_bias ? IntegerBias{bias64.data(), true} : IntegerBias{bias32.data(), false};
  }
};

// An int8 layer is packed and read; what makes it one of 16 bits is then set on the view. The uint8 weights are the
// int8 ones plus 100, modulo 256, so that their zero point 93 is no symmetric one.
inline void Build(const PackedSpec& spec, const LayerKind& kind, const ImageSize& in, uint32_t seed, Layer* layer) {
  std::mt19937 random(seed);
  layer->spec = spec;
  layer->kind = kind;
  layer->spec.value_type = ValueType::kInt8;
  layer->spec.int8_activations = true;
  layer->spec.activation = Activation::kNone;
  layer->packed.reset(new GuardedPacked(BuildPacked(layer->spec, &random).bytes));
  ASSERT_TRUE(layer->packed->status.ok()) << layer->packed->status.message;
  PackedWeights& w = layer->weights();
  size_t stored = 0;
  for (uint32_t line = 0; line < w.line_count; ++line) stored += w.DotCellsOfLine(line) * w.RowsOfLine(line);
  w.activation = spec.activation;
  w.input_zero_point = w.output_zero_point = 0;
  w.activation_type = ActivationType::kInt16;
  w.rounding = Rounding::kBuiltin;
  if (kind.extremes) memset(const_cast<int8_t*>(w.bytes), 0x80, stored);
  if (!kind.int16) {
    w.rounding = kind.rounding;
    w.stock_channels = kind.rounding == Rounding::kBuiltinChannels ? w.out_channels : 0;
    w.output_zero_point = static_cast<int>(random() % 256) - (kind.int8 ? 128 : 0);
  }
  if (!kind.int16 && kind.int8) {
    w.activation_type = ActivationType::kInt8;
    w.weight_zero_point = -7;
    w.input_zero_point = kind.extremes ? 127 : static_cast<int>(random() % 256) - 128;
  } else if (!kind.int16) {
    w.activation_type = ActivationType::kUInt8;
    w.value_type = ValueType::kUInt8;
    w.weight_zero_point = 93;
    w.input_zero_point = kind.extremes ? 0 : static_cast<int>(random() % 256);
    for (size_t i = 0; i < stored; ++i)
      layer->unsigned_values.push_back(static_cast<uint8_t>(kind.extremes ? 255 : w.bytes[i] + 100));
    w.unsigned_bytes = layer->unsigned_values.data();
    w.bytes = nullptr;
  }
  for (uint32_t r = 0; r < w.out_channels; ++r) {
    layer->bias64.push_back(static_cast<int64_t>(random() % 4000000) - 2000000);
    layer->bias32.push_back(static_cast<int32_t>(random() % 40000) - 20000);
  }
  ASSERT_TRUE(InferConvShape(w, in, &layer->shape).ok());
}

// The exact sum of one output, over the stored weights one by one; knows nothing of lines, pairs or planes.
inline std::vector<int64_t> ExactSums(const Layer& layer, const std::vector<int64_t>& x) {
  const PackedWeights& w = layer.weights();
  const ConvShape& shape = layer.shape;
  const uint32_t columns = w.columns();
  std::vector<int64_t> dense(size_t{w.out_channels} * columns), sums;
  ForEachWeight(w, [&](uint32_t row, uint32_t column, size_t index) {
    const int64_t stored = w.bytes != nullptr ? w.bytes[index] : w.unsigned_bytes[index];
    dense[size_t{row} * columns + column] += stored - w.weight_zero_point;
  });
  for (uint32_t pixel = 0; pixel < shape.out.batch * shape.out.height * shape.out.width; ++pixel) {
    const uint32_t n = pixel / shape.out.width / shape.out.height;
    const uint32_t oy = pixel / shape.out.width % shape.out.height, ox = pixel % shape.out.width;
    for (uint32_t r = 0; r < w.out_channels; ++r) {
      int64_t sum = 0;
      for (uint32_t column = 0; column < columns; ++column) {
        const uint32_t tap = column / w.in_channels, c = column % w.in_channels;
        const int64_t iy = int64_t{oy} * w.stride_h + tap / w.kernel_w * w.dilation_h - shape.pad_top;
        const int64_t ix = int64_t{ox} * w.stride_w + tap % w.kernel_w * w.dilation_w - shape.pad_left;
        if (iy < 0 || ix < 0 || iy >= shape.in.height || ix >= shape.in.width) continue;
        sum += dense[size_t{r} * columns + column] *
               x[((size_t{n} * shape.in.height + iy) * shape.in.width + ix) * w.in_channels + c];
      }
      sums.push_back(sum);
    }
  }
  return sums;
}

// floor(value / 2^by + 1/2) in 128 bits.
inline int64_t Rounded(__int128 value, int by) {
  return by == 0 ? static_cast<int64_t>(value)
                 : static_cast<int64_t>((value + (static_cast<__int128>(1) << (by - 1))) >> by);
}

// The same with ties away from zero.
inline int64_t RoundedAway(int64_t value, int by) { return value < 0 ? -Rounded(-value, by) : Rounded(value, by); }

// An output of 8 bits that is rounded as LiteRT's builtin kernels do.
inline int64_t ExpectedByte(const Layer& layer, uint32_t row, int64_t sum) {
  const PackedWeights& w = layer.weights();
  const bool one_scale = std::count(w.scales, w.scales + w.out_channels, w.scales[0]) == w.out_channels;
  const bool single = one_scale && (!layer.kind.int8 || w.op == Op::kFullyConnected);
  const double product = single ? w.input_scale * w.scales[row] : double{w.input_scale} * w.scales[row];
  int exponent = 0;
  const double fraction = std::frexp(product / w.output_scale, &exponent);
  const int64_t fixed = std::llround(std::ldexp(fraction, 31));
  const int64_t first = Rounded(static_cast<__int128>(sum) * fixed, 31);
  const bool away = w.rounding == Rounding::kBuiltinAway ||
                    (w.rounding == Rounding::kBuiltinChannels && row >= w.out_channels / 8 * 8);
  const size_t pixels = size_t{layer.shape.out.batch} * layer.shape.out.height * layer.shape.out.width;
  int64_t value = away ? RoundedAway(first, -exponent) : Rounded(first, -exponent);
  if (w.rounding == Rounding::kBuiltin && !RoundsTwice(w, pixels))
    value = Rounded(static_cast<__int128>(sum) * fixed, 31 - exponent);
  float low_bound, high_bound;
  ActivationBounds(w.activation, &low_bound, &high_bound);
  int64_t low = (layer.kind.int8 ? -128 : 0) - w.output_zero_point, high = low + 255;
  if (std::isfinite(low_bound)) low = std::max<int64_t>(low, std::llround(low_bound / w.output_scale));
  if (std::isfinite(high_bound)) high = std::min<int64_t>(high, std::llround(high_bound / w.output_scale));
  return std::min(std::max(value, low), high) + w.output_zero_point;
}

// An output by the formulas of docs/formats.md, in wider arithmetic than the kernels use.
inline int64_t Expected(const Layer& layer, uint32_t row, int64_t sum) {
  const PackedWeights& w = layer.weights();
  const double in = w.input_scale, scale = w.scales[row], out = w.output_scale;
  float low_bound, high_bound;
  ActivationBounds(w.activation, &low_bound, &high_bound);
  int64_t value = 0, low = -32768, high = 32767;
  if (!layer.kind.int16 && layer.kind.rounding != Rounding::kXnnpack) return ExpectedByte(layer, row, sum);
  if (!layer.kind.int16) {
    const float factor = w.input_scale * w.scales[row] / w.output_scale;
    value = std::llrint(static_cast<float>(sum) * factor);
    if (DetectedArch() >= Arch::kNeon)  // XNNPACK's kernels of uint8 for NEON
      value = static_cast<int64_t>(std::floor(static_cast<double>(sum) * factor + 0.5));
    low = -w.output_zero_point, high = 255 - w.output_zero_point;
    if (std::isfinite(low_bound)) low = std::max<int64_t>(low, std::llrint(low_bound / w.output_scale));
    if (std::isfinite(high_bound)) high = std::min<int64_t>(high, std::llrint(high_bound / w.output_scale));
    return std::min(std::max(value, low), high) + w.output_zero_point;
  }
  if (std::isfinite(low_bound)) low = std::max<int64_t>(low, std::llround(low_bound / w.output_scale));
  if (std::isfinite(high_bound)) high = std::min<int64_t>(high, std::llround(high_bound / w.output_scale));
  const bool dense = w.op == Op::kFullyConnected, wide = layer.kind.with_bias && layer.kind.wide_bias;
  int exponent = 0;
  const double fraction = std::frexp(in * scale / out, &exponent);
  const int64_t fixed = std::llround(std::ldexp(fraction, 31));
  if (dense && wide) {
    value = std::llround(static_cast<double>(sum) * (in * scale / out));
  } else if (!dense) {
    value = Rounded(static_cast<__int128>(sum) * ((fixed + 32768) >> 16), 15 - exponent);
  } else if (RoundsTwice(w, 2)) {
    value = Rounded(Rounded(static_cast<__int128>(static_cast<int32_t>(sum)) * fixed, 31), -exponent);
  } else {
    value = Rounded(static_cast<__int128>(static_cast<int32_t>(sum)) * fixed, 31 - exponent);
  }
  return std::min(std::max(value, low), high);
}

// Runs the plan on every arch and several thread counts; inputs and outputs end at guard pages.
template <typename T>
void RunEverywhere(const Layer& layer, const ImageSize& in, Guarded<T>* x, const std::vector<int64_t>& expected) {
  ThreadPool pool;
  Workspace workspace;
  for (const Arch arch : SupportedArchs()) {
    for (const uint32_t threads : {1u, 2u, 5u}) {
      Int16Conv2DPlan plan;
      const Status prepared = plan.Prepare(layer.weights(), layer.bias(), in, arch, threads);
      ASSERT_TRUE(prepared.ok()) << prepared.message;
      Guarded<T> y(expected.size());
      memset(y.data(), 0x55, y.size() * sizeof(T));
      ASSERT_TRUE(plan.Run(x->data(), y.data(), &pool, &workspace));
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(y[i], expected[i]) << layer.spec.Name() << " in " << in.batch << "x" << in.height << "x" << in.width
                                     << " " << plan.kernel_name() << " threads " << threads << " at " << i;
      }
    }
  }
}

template <typename T>
void CheckOf(const PackedSpec& spec, const LayerKind& kind, const ImageSize& in, uint32_t seed) {
  Layer layer;
  Build(spec, kind, in, seed, &layer);
  if (::testing::Test::HasFatalFailure()) return;
  std::mt19937 random(seed + 1);
  Guarded<T> x(size_t{in.batch} * in.height * in.width * spec.in_channels);
  std::vector<int64_t> centred;
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<T>(random());
    if (kind.extremes) x[i] = kind.int16 ? static_cast<T>(-32768) : static_cast<T>(kind.int8 ? -128 : 255);
    centred.push_back(x[i] - layer.weights().input_zero_point);
  }
  std::vector<int64_t> expected = ExactSums(layer, centred);
  for (size_t i = 0; i < expected.size(); ++i) {
    const uint32_t row = static_cast<uint32_t>(i % spec.out_channels);
    const int64_t bias = !kind.with_bias ? 0 : kind.wide_bias ? layer.bias64[row] : layer.bias32[row];
    expected[i] = Expected(layer, row, expected[i] + bias);
  }
  RunEverywhere<T>(layer, in, &x, expected);
}

// The same layer with uint8 activations, with 8-bit ones of the builtin kernels, and with int16 ones, the second one
// with every bias that its op takes.
inline void Check(PackedSpec spec, const ImageSize& in, uint32_t seed) {
  const bool dense = spec.op == Op::kFullyConnected;
  const bool wide_bias = !dense || seed % 3 != 0;
  spec.output_scale = 0.05f + 0.01f * static_cast<float>(seed % 40);
  CheckOf<uint8_t>(spec, {false, seed % 4 != 0, false, false}, in, seed);
  const Rounding roundings[] = {Rounding::kBuiltin, Rounding::kBuiltinChannels, Rounding::kBuiltinAway};
  const Rounding rounding = roundings[seed % 3];
  CheckOf<int8_t>(spec, {false, seed % 4 != 0, false, false, true, rounding}, in, seed);
  if (seed % 3 == 2) CheckOf<uint8_t>(spec, {false, true, false, false, false, rounding}, in, seed);
  if (::testing::Test::HasFatalFailure()) return;
  spec.input_scale = 0.002f;
  CheckOf<int16_t>(spec, {true, seed % 4 != 0, wide_bias, false}, in, seed);
}

inline PackedSpec SpecOf(Encoding encoding, uint32_t rows, uint32_t cols, uint32_t seed) {
  const Activation activations[] = {Activation::kNone, Activation::kRelu, Activation::kReluN1To1, Activation::kRelu6};
  PackedSpec spec = SizedSpec(encoding, rows, cols, seed);
  if (seed % 3 == 0) spec.activation = activations[seed / 3 % 4];
  return spec;
}

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_CONV2D_INT16_INT16_CHECKS_H_
