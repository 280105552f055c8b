// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/lstm/lstm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tflite_ops/kernels/lstm/sequence.h"
#include "tflite_ops/testing/guarded.h"
#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {
namespace {

constexpr Arch kArchs[] = {
    Arch::kReference,
#define TFPRUNE_ISA(name, value) Arch::value,
#include "tflite_ops/kernels/simd/isa.inc"
#undef TFPRUNE_ISA
};

double ExactSigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

// Distance in units of the last place of `exact`.
double UnitsOff(float got, double exact) {
  const float nearest = static_cast<float>(exact);
  const double unit = std::max(static_cast<double>(std::nextafter(std::fabs(nearest), 1e30f) - std::fabs(nearest)),
                               static_cast<double>(std::numeric_limits<float>::min()) * 1e-7);
  return std::fabs(got - exact) / unit;
}

std::vector<float> Arguments() {
  std::mt19937 random(1);
  std::vector<float> x = {0.0f, 1e-38f, 1e-20f, 1e-8f, 1e-4f, 0.173286f, 0.17328f, 0.346573f, 0.34658f, 86.9f, 1e-41f};
  std::uniform_real_distribution<float> wide(0.0f, 86.0f), near(0.0f, 4.0f), exponent(-30.0f, 0.0f);
  for (int i = 0; i < 20000; ++i) {
    x.push_back(wide(random));
    x.push_back(near(random));
    x.push_back(std::exp(exponent(random)));
  }
  const size_t positive = x.size();
  for (size_t i = 0; i < positive; ++i) x.push_back(-x[i]);
  return x;
}

TEST(Lstm, FunctionsAreExactToAFewUnits) {
  const std::vector<float> x = Arguments();
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    const LstmKernels kernels = GetLstmKernels(arch);
    EXPECT_EQ(kernels.name, std::string("lstm/") + ArchName(arch));
    std::vector<float> sigmoid(x.size()), tanh(x.size());
    kernels.sigmoid(x.data(), x.size(), sigmoid.data());
    kernels.tanh(x.data(), x.size(), tanh.data());
    double worst_sigmoid = 0, worst_tanh = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      worst_sigmoid = std::max(worst_sigmoid, UnitsOff(sigmoid[i], ExactSigmoid(x[i])));
      worst_tanh = std::max(worst_tanh, UnitsOff(tanh[i], std::tanh(static_cast<double>(x[i]))));
      ASSERT_LT(UnitsOff(sigmoid[i], ExactSigmoid(x[i])), 4) << kernels.name << " sigmoid " << x[i];
      ASSERT_LT(UnitsOff(tanh[i], std::tanh(static_cast<double>(x[i]))), 4) << kernels.name << " tanh " << x[i];
    }
    RecordProperty(std::string(ArchName(arch)) + "_units", std::to_string(std::max(worst_sigmoid, worst_tanh)));
  }
}

TEST(Lstm, FunctionsOfSpecialValues) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float x[] = {kInfinity, -kInfinity, 1e30f, -1e30f, std::nanf(""), -0.0f};
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    const LstmKernels kernels = GetLstmKernels(arch);
    float sigmoid[6], tanh[6];
    kernels.sigmoid(x, 6, sigmoid);
    kernels.tanh(x, 6, tanh);
    for (int i = 0; i < 4; ++i) {
      EXPECT_NEAR(sigmoid[i], i % 2 == 0 ? 1.0f : 0.0f, 1e-37) << kernels.name;
      EXPECT_EQ(tanh[i], i % 2 == 0 ? 1.0f : -1.0f) << kernels.name;
    }
    EXPECT_TRUE(std::isnan(sigmoid[4]) && std::isnan(tanh[4])) << kernels.name;
    EXPECT_EQ(sigmoid[5], 0.5f);
    EXPECT_EQ(tanh[5], 0.0f);
    EXPECT_TRUE(std::signbit(tanh[5])) << kernels.name;
  }
}

TEST(Lstm, CellsOfEverySizeStayInTheirRanges) {
  std::mt19937 random(2);
  std::uniform_real_distribution<float> value(-3.0f, 3.0f);
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    const LstmKernels kernels = GetLstmKernels(arch);
    for (size_t units = 1; units < 50; ++units) {
      for (const float clip : {0.0f, 0.5f}) {
        std::vector<float> input(4 * units), state(4 * units), cell(units);
        for (auto* values : {&input, &state, &cell}) {
          for (float& one : *values) one = value(random);
        }
        std::vector<float> want_cell = cell, want_hidden(units);
        ReferenceLstmKernels().cell(
            {input.data(), state.data(), want_cell.data(), want_hidden.data(), want_hidden.data(), units, clip});
        Guarded<float> got_input(input), got_state(state), got_cell(cell), hidden(units), out(units);
        kernels.cell({got_input.data(), got_state.data(), got_cell.data(), hidden.data(), out.data(), units, clip});
        for (size_t j = 0; j < units; ++j) {
          ASSERT_NEAR(got_cell[j], want_cell[j], 2e-6) << kernels.name << " " << units;
          ASSERT_NEAR(hidden[j], want_hidden[j], 1e-6) << kernels.name << " " << units;
          ASSERT_EQ(hidden[j], out[j]);
          if (clip > 0) {
            ASSERT_LE(std::fabs(got_cell[j]), clip);
          }
        }
      }
    }
  }
}

// An LSTM over dense matrices in double.
struct DenseLstm {
  const std::vector<float>&input, &recurrent, &bias;
  uint32_t features, units;

  void Step(const float* x, double clip, std::vector<double>* hidden, std::vector<double>* cell) const {
    std::vector<double> z(4 * units);
    for (uint32_t r = 0; r < 4 * units; ++r) {
      z[r] = bias[r];
      for (uint32_t c = 0; c < features; ++c) z[r] += double{input[r * features + c]} * x[c];
      for (uint32_t c = 0; c < units; ++c) z[r] += recurrent[r * units + c] * (*hidden)[c];
    }
    for (uint32_t j = 0; j < units; ++j) {
      double c = ExactSigmoid(z[units + j]) * (*cell)[j] + ExactSigmoid(z[j]) * std::tanh(z[2 * units + j]);
      if (clip > 0) c = std::min(std::max(c, -clip), clip);
      (*cell)[j] = c;
      (*hidden)[j] = ExactSigmoid(z[3 * units + j]) * std::tanh(c);
    }
  }
};

struct Case {
  uint32_t features, units, batch, steps;
  bool time_major;
  float clip;
  Encoding encoding;
  uint32_t rows;
};

void CheckSequence(const Case& c, Arch arch, uint32_t threads, std::mt19937* random) {
  PackedSpec spec;
  spec.op = Op::kFullyConnected;
  spec.padding = Padding::kValid;
  spec.encoding = c.encoding;
  spec.group_rows = c.rows;
  spec.out_channels = 4 * c.units;
  spec.in_channels = c.features;
  const Packed input = BuildPacked(spec, random);
  spec.in_channels = c.units;
  const Packed recurrent = BuildPacked(spec, random);
  PackedWeights input_weights, recurrent_weights;
  ASSERT_TRUE(ReadPackedWeights(input.bytes.data(), input.bytes.size(), &input_weights).ok());
  ASSERT_TRUE(ReadPackedWeights(recurrent.bytes.data(), recurrent.bytes.size(), &recurrent_weights).ok());
  std::uniform_real_distribution<float> value(-1.0f, 1.0f);
  std::vector<float> x(size_t{c.batch} * c.steps * c.features), bias(4 * c.units), hidden(c.batch * c.units), cell;
  for (auto* values : {&x, &bias, &hidden}) {
    for (float& one : *values) one = value(*random);
  }
  cell = hidden;

  LstmPlan plan;
  const Status status =
      plan.Prepare(input_weights, recurrent_weights, {c.batch, c.steps, c.time_major}, c.clip, arch, threads);
  ASSERT_TRUE(status.ok()) << status.message;
  Guarded<float> x_in(x), h(hidden), state(cell), y(size_t{c.batch} * c.steps * c.units);
  ThreadPool pool;
  Workspace gates, products;
  const LstmTensors tensors = {x_in.data(), bias.data(), h.data(), state.data(), y.data()};
  ASSERT_TRUE(plan.Run(tensors, &pool, &gates, &products));
  // The state goes on where the first run left it.
  ASSERT_TRUE(plan.Run(tensors, &pool, &gates, &products));

  const DenseLstm dense = {input.dense, recurrent.dense, bias, c.features, c.units};
  for (uint32_t b = 0; b < c.batch; ++b) {
    std::vector<double> want_h(hidden.begin() + b * c.units, hidden.begin() + (b + 1) * c.units), want_c = want_h;
    for (int run = 0; run < 2; ++run) {
      for (uint32_t t = 0; t < c.steps; ++t) {
        const size_t place = c.time_major ? size_t{t} * c.batch + b : size_t{b} * c.steps + t;
        dense.Step(x.data() + place * c.features, c.clip, &want_h, &want_c);
        for (uint32_t j = 0; run == 1 && j < c.units; ++j) {
          ASSERT_NEAR(y[place * c.units + j], want_h[j], 2e-4) << ArchName(arch) << " step " << t << " unit " << j;
        }
      }
    }
    for (uint32_t j = 0; j < c.units; ++j) {
      ASSERT_NEAR(h[b * c.units + j], want_h[j], 2e-4);
      ASSERT_NEAR(state[b * c.units + j], want_c[j], 5e-4);
    }
  }
}

TEST(Lstm, SequencesAgreeWithDenseOnes) {
  const Case cases[] = {
      {8, 16, 1, 5, false, 0, Encoding::kRowBand, 4},    {5, 7, 1, 1, false, 0, Encoding::kRowBand, 1},
      {12, 20, 3, 4, false, 10, Encoding::kRowBand, 8},  {12, 20, 3, 4, true, 0.3f, Encoding::kSlidingRow, 4},
      {33, 9, 2, 17, true, 0, Encoding::kBlockRows, 16}, {16, 32, 18, 3, false, 0, Encoding::kBlockRows, 5},
      {1, 1, 1, 3, false, 0, Encoding::kRowBand, 1},
  };
  std::mt19937 random(3);
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    for (const Case& each : cases) {
      CheckSequence(each, arch, 1, &random);
      CheckSequence(each, arch, 3, &random);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Lstm, WeightsThatDoNotFitAreRefused) {
  std::mt19937 random(4);
  const auto packed = [&](uint32_t rows, uint32_t columns, Op op, Activation activation) {
    PackedSpec spec;
    spec.op = op;
    spec.padding = Padding::kValid;
    spec.activation = activation;
    spec.out_channels = rows;
    spec.in_channels = columns;
    return BuildPacked(spec, &random);
  };
  const Packed good = packed(16, 4, Op::kFullyConnected, Activation::kNone);
  PackedWeights fits;
  ASSERT_TRUE(ReadPackedWeights(good.bytes.data(), good.bytes.size(), &fits).ok());
  const Packed bad[] = {
      packed(16, 5, Op::kFullyConnected, Activation::kNone), packed(20, 5, Op::kFullyConnected, Activation::kNone),
      packed(16, 4, Op::kFullyConnected, Activation::kRelu), packed(16, 4, Op::kConv2D, Activation::kNone)};
  LstmPlan plan;
  const Arch arch = DetectedArch();
  EXPECT_TRUE(plan.Prepare(fits, fits, {1, 1, false}, 0, arch, 1).ok());
  for (const Packed& each : bad) {
    PackedWeights weights;
    ASSERT_TRUE(ReadPackedWeights(each.bytes.data(), each.bytes.size(), &weights).ok());
    EXPECT_FALSE(plan.Prepare(fits, weights, {1, 1, false}, 0, arch, 1).ok());
  }
  EXPECT_FALSE(plan.Prepare(fits, fits, {1u << 20, 1u << 20, false}, 0, arch, 1).ok());
  EXPECT_TRUE(plan.Prepare(fits, fits, {0, 7, false}, 0, arch, 1).ok());
}

}  // namespace
}  // namespace tfprune
