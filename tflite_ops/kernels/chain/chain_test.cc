// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/chain/chain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "tflite_ops/kernels/chain/chain_models.h"
#include "tflite_ops/kernels/chain/random_chains.h"
#include "tflite_ops/testing/guarded.h"

namespace tfprune {
namespace {

constexpr Arch kArchs[] = {
#define TFPRUNE_ISA(name, value) Arch::value,
#include "tflite_ops/kernels/simd/isa.inc"
#undef TFPRUNE_ISA
};

using Images = std::vector<std::vector<float>>;

Images RandomInputs(ChainModel* model, uint32_t batch) {
  std::uniform_real_distribution<float> value(-2.0f, 2.0f);
  Images x;
  for (const uint32_t tensor : model->inputs) {
    x.emplace_back(batch * model->ValuesOf(tensor));
    for (float& one : x.back()) one = value(*model->random());
  }
  return x;
}

// One run with inputs and outputs that end at unmapped pages, over scratch full of NaN.
Images RunGuarded(const ChainModel& model, const Images& x, uint32_t batch, Chain* chain, ThreadPool* pool) {
  std::vector<std::unique_ptr<Guarded<float>>> inputs, outputs;
  std::vector<const float*> in;
  std::vector<float*> out;
  for (const std::vector<float>& one : x) {
    inputs.push_back(std::make_unique<Guarded<float>>(one));
    in.push_back(inputs.back()->data());
  }
  for (uint32_t i = 0; i < model.outputs; ++i) {
    outputs.push_back(std::make_unique<Guarded<float>>(batch * model.OutputValues(i)));
    out.push_back(outputs.back()->data());
    std::fill(out.back(), out.back() + outputs.back()->size(), NAN);
  }
  Workspace workspace;
  EXPECT_TRUE(workspace.floats.Reserve(chain->workspace_floats()));
  std::fill(workspace.floats.data(), workspace.floats.data() + workspace.floats.capacity(), NAN);
  EXPECT_TRUE(chain->Run(in.data(), out.data(), pool, &workspace));
  EXPECT_EQ(workspace.floats.capacity(), chain->workspace_floats());
  Images y;
  for (const auto& one : outputs) y.emplace_back(one->data(), one->data() + one->size());
  return y;
}

void ExpectNear(const Images& got, const Images& expected, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    float largest = 1.0f;
    for (const float value : expected[i]) largest = std::max(largest, fabsf(value));
    ASSERT_EQ(got[i].size(), expected[i].size());
    for (size_t k = 0; k < expected[i].size(); ++k) {
      ASSERT_NEAR(got[i][k], expected[i][k], 3e-5f * largest) << what << " output " << i << " at " << k;
    }
  }
}

void ExpectSameBits(const Images& got, const Images& expected, const std::string& what) {
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(memcmp(got[i].data(), expected[i].data(), expected[i].size() * sizeof(float)), 0)
        << what << " output " << i;
  }
}

void Check(ChainModel* model, uint32_t batch, const std::string& name) {
  const Images x = RandomInputs(model, batch), expected = model->Reference(x, batch);
  ThreadPool pool;
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    Images one_thread;
    for (const uint32_t threads : {1u, 2u, 5u}) {
      const std::string what = name + " batch " + std::to_string(batch) + " " + ArchName(arch) + " threads " +
                               std::to_string(threads) + ": " + model->Describe();
      Chain chain;
      const Status status = chain.Prepare(model->Spec(), batch, arch, threads);
      ASSERT_TRUE(status.ok()) << status.message << " " << what;
      const Images y = RunGuarded(*model, x, batch, &chain, &pool);
      if (threads == 1) {
        one_thread = y;
        ExpectNear(y, expected, what);
      }
      ExpectSameBits(y, one_thread, what);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Chain, RandomChains) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    ChainModel model(seed);
    BuildRandomChain(&model);
    Check(&model, 1 + seed % 3, "seed " + std::to_string(seed));
    if (HasFatalFailure()) return;
  }
}

TEST(Chain, EveryStepBudgetGivesTheSameBytes) {
  if (DetectedArch() == Arch::kReference) GTEST_SKIP() << "the reference has no chains";
  ThreadPool pool;
  for (uint32_t seed = 500; seed < 520; ++seed) {
    ChainModel model(seed);
    BuildRandomChain(&model);
    const Images x = RandomInputs(&model, 1);
    for (const uint32_t threads : {1u, 2u}) {
      Images first;
      for (const uint32_t budget : {kStepBudget, kStepBudget / 2, kStepBudget * 2, 1u, 1u << 20}) {
        Chain chain;
        ASSERT_TRUE(chain.Prepare(model.Spec(), 1, DetectedArch(), threads, budget).ok());
        const Images y = RunGuarded(model, x, 1, &chain, &pool);
        if (first.empty()) first = y;
        ExpectSameBits(y, first, "seed " + std::to_string(seed) + " budget " + std::to_string(budget));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(Chain, InvertedResidualOfEverySize) {
  uint32_t seed = 100;
  for (const uint32_t side : {1u, 2u, 3u, 7u, 14u, 17u, 60u}) {
    for (const uint32_t stride : {1u, 2u}) {
      ChainModel model(++seed);
      const uint32_t x = model.Import({side, side + 1, 5 + seed % 13});
      model.Export(InvertedResidual(&model, x, 3, stride, 3));
      Check(&model, 1, "seed " + std::to_string(seed));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Chain, DepthwiseOfEveryStrideDilationAndMultiplier) {
  uint32_t seed = 200;
  for (const uint32_t multiplier : {1u, 2u, 5u}) {
    for (const uint32_t stride : {1u, 2u, 3u}) {
      for (const uint32_t dilation : {1u, 2u}) {
        ChainModel model(++seed);
        const Window window = {3 + 2 * (seed % 2), 3 + seed % 3, stride, 1 + seed % 3, dilation, 1};
        const TensorSpec image = {window.ExtentH() + seed % 23, window.ExtentW() + seed % 37, 1 + seed % 18};
        const uint32_t x = model.Import(image);
        const Pads pads = seed % 3 == 0 ? Pads() : window.Same(image);
        model.Export(model.Depthwise(model.Pointwise(x, 1 + seed % 17), multiplier, window, pads));
        Check(&model, 1 + seed % 2, "seed " + std::to_string(seed));
        if (HasFatalFailure()) return;
      }
    }
  }
}

// Each output reads one row of padding only at some places, or none of the image at all.
TEST(Chain, FoldedPadsLargerThanTheKernel) {
  uint32_t seed = 300;
  for (const Pads pads : {Pads{1, 1, 1, 1}, Pads{0, 1, 0, 1}, Pads{3, 0, 5, 0}, Pads{0, 4, 2, 7}, Pads{9, 9, 9, 9}}) {
    for (const uint32_t stride : {1u, 2u}) {
      ChainModel model(++seed);
      const Window window = {3, 3, stride, stride, 1, 1};
      const uint32_t x = model.Import({11, 13, 6});
      const uint32_t conv = model.Conv(x, 9, window, pads);
      model.Export(model.Depthwise(conv, 1, window, pads));
      Check(&model, 2, "seed " + std::to_string(seed));
      if (HasFatalFailure()) return;
    }
  }
}

// The last rows of a tensor, or all of them, may be read by nobody.
TEST(Chain, RowsThatNobodyReads) {
  ChainModel model(400);
  const uint32_t x = model.Import({40, 32, 16});
  const uint32_t wide = model.Pointwise(x, 48);
  const uint32_t cut = model.Depthwise(wide, 1, {3, 3, 13, 2, 1, 1}, Pads());
  model.Pointwise(wide, 4);
  const uint32_t narrow = model.Pointwise(cut, 64);
  const uint32_t padded = model.Conv(narrow, 8, {2, 2, 40, 40, 1, 1}, {2, 0, 2, 0});
  model.Export(narrow);
  model.Export(padded);
  model.Mean(cut);
  Check(&model, 2, "unread rows");
}

TEST(Chain, NanInTheImageStaysWhereItBelongs) {
  ThreadPool pool;
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    ChainModel model(503);
    const uint32_t x = model.Import({9, 21, 7});
    const uint32_t y = model.Pointwise(x, 7);
    const uint32_t z = model.Depthwise(y, 1, {3, 3, 1, 1, 1, 1}, {1, 1, 1, 1});
    model.Export(z);
    Chain chain;
    ASSERT_TRUE(chain.Prepare(model.Spec(), 1, arch, 1).ok());
    Images in = {std::vector<float>(model.ValuesOf(x), 1.0f)};
    const uint32_t row = 4, column = 15;
    for (uint32_t c = 0; c < 7; ++c) in[0][(row * 21 + column) * 7 + c] = NAN;
    const Images got = RunGuarded(model, in, 1, &chain, &pool), expected = model.Reference(in, 1);
    size_t lost = 0;
    for (size_t i = 0; i < expected[0].size(); ++i) {
      ASSERT_EQ(std::isnan(got[0][i]), std::isnan(expected[0][i])) << ArchName(arch) << " at " << i;
      lost += std::isnan(expected[0][i]);
    }
    EXPECT_GT(lost, 0u);
    EXPECT_LE(lost, 9u * 7);
  }
}

TEST(Chain, OneChainRunsAgainAndAfterAnotherPrepare) {
  if (DetectedArch() == Arch::kReference) GTEST_SKIP() << "the reference has no chains";
  ThreadPool pool;
  Workspace workspace;
  Chain chain;
  for (const uint32_t side : {20u, 5u, 33u}) {
    ChainModel model(600);
    const uint32_t x = model.Import({side, side, 12});
    model.Export(InvertedResidual(&model, x, 2, 1, 3));
    ASSERT_TRUE(chain.Prepare(model.Spec(), 1, DetectedArch(), 2).ok());
    for (int run = 0; run < 3; ++run) {
      const Images in = RandomInputs(&model, 1), expected = model.Reference(in, 1);
      Images out = {std::vector<float>(expected[0].size(), NAN)};
      const float* inputs[] = {in[0].data()};
      float* outputs[] = {out[0].data()};
      ASSERT_TRUE(chain.Run(inputs, outputs, &pool, &workspace));
      ExpectNear(out, expected, "side " + std::to_string(side));
    }
  }
}

TEST(Chain, KernelsAreThoseOfTheArchAskedFor) {
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    ChainModel model(700);
    const uint32_t x = model.Import({8, 8, 8});
    model.Export(model.Depthwise(model.Pointwise(x, 8), 1, {3, 3, 1, 1, 1, 1}, {1, 1, 1, 1}));
    Chain chain;
    ASSERT_TRUE(chain.Prepare(model.Spec(), 1, arch, 1).ok());
    for (const uint32_t stage : {1u, 2u}) {
      EXPECT_NE(std::string(chain.StageKernel(stage)).find(ArchName(arch)), std::string::npos);
    }
  }
}

TEST(Chain, AProfileCountsEveryStageAndRun) {
  if (DetectedArch() == Arch::kReference) GTEST_SKIP() << "the reference has no chains";
  static uint64_t now;
  now = 0;
  ChainModel model(800);
  const uint32_t x = model.Import({30, 30, 8});
  model.Export(InvertedResidual(&model, x, 2, 1, 3));
  ThreadPool pool;
  Chain chain;
  ASSERT_TRUE(chain.Prepare(model.Spec(), 2, DetectedArch(), 2).ok());
  ASSERT_TRUE(chain.StartProfile([]() -> uint64_t { return now++; }).ok());
  const Images in = RandomInputs(&model, 2);
  for (int run = 0; run < 3; ++run) RunGuarded(model, in, 2, &chain, &pool);
  EXPECT_EQ(chain.runs(), 3u);
  uint64_t total = 0;
  for (uint32_t s = 0; s < model.stages.size(); ++s) {
    EXPECT_GT(chain.StageNanoseconds(s), 0u);
    total += chain.StageNanoseconds(s);
  }
  EXPECT_EQ(total, uint64_t{3} * 2 * chain.step_count());
}

TEST(Chain, ImpossibleSizesAreRefused) {
  ChainModel model(900);
  const uint32_t x = model.Import({8, 8, 8});
  model.Export(model.Pointwise(x, 8));
  for (const TensorSpec huge : {TensorSpec{UINT32_MAX, UINT32_MAX, 8}, TensorSpec{1u << 20, 1u << 20, 8},
                                TensorSpec{8, 8, 0}, TensorSpec{0, 8, 8}}) {
    std::vector<TensorSpec> tensors = model.tensors;
    tensors[x] = huge;
    ChainSpec spec = model.Spec();
    spec.tensors = tensors.data();
    Chain chain;
    EXPECT_FALSE(chain.Prepare(spec, 1, DetectedArch(), 1).ok());
  }
}

}  // namespace
}  // namespace tfprune
