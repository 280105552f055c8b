// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/benchmark/sampling.h"

#include <gtest/gtest.h>

#include <vector>

namespace tfprune {
namespace {

double now = 0;
std::vector<int> calls;

double FakeClock() { return now; }

// Takes a time of its own, and fails once it has run so often.
struct FakeModel {
  int name;
  double seconds;
  int left = 1 << 30;
};

bool Invoke(void* self) {
  FakeModel* const model = static_cast<FakeModel*>(self);
  now += model->seconds;
  calls.push_back(model->name);
  return model->left-- > 0;
}

class SamplingTest : public testing::Test {
 protected:
  size_t Run(std::vector<FakeModel> models, const Sampling& sampling) {
    now = 100;
    calls.clear();
    std::vector<Invocable> invocables;
    for (FakeModel& model : models) invocables.push_back({&model, Invoke});
    nanoseconds_.assign(kMostRounds * models.size(), -1);
    inferences_.assign(models.size(), 0);
    return Interleave(invocables.data(), models.size(), sampling, FakeClock, nanoseconds_.data(), inferences_.data(),
                      &failed_);
  }

  std::vector<double> nanoseconds_;
  std::vector<size_t> inferences_;
  size_t failed_ = 99;
};

TEST_F(SamplingTest, EveryOtherRoundGoesBackwards) {
  ASSERT_EQ(Run({{0, 0.125}, {1, 0.25}}, {0, 0.125, 0}), kFewestRounds);
  // Three runs of each to warm up, and then 0 1, 1 0, 0 1, ...
  const std::vector<int> expected = {0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1};
  EXPECT_EQ(calls, expected);
  for (size_t round = 0; round < kFewestRounds; ++round) {
    EXPECT_NEAR(nanoseconds_[2 * round], 0.125e9, 1e-3);
    EXPECT_NEAR(nanoseconds_[2 * round + 1], 0.25e9, 1e-3);
  }
}

TEST_F(SamplingTest, SamplesOfFastModelsAreMeansOfSeveralInferences) {
  ASSERT_EQ(Run({{0, 0.125}, {1, 2}}, {0, 1, 0}), kFewestRounds);
  EXPECT_EQ(inferences_, (std::vector<size_t>{8, 1}));
  EXPECT_EQ(calls.size(), 6 + kFewestRounds * 9);
  EXPECT_NEAR(nanoseconds_[0], 0.125e9, 1e-3);
  EXPECT_NEAR(nanoseconds_[1], 2e9, 1e-3);
}

TEST_F(SamplingTest, RoundsFillTheTime) {
  EXPECT_EQ(Run({{0, 0.5}, {1, 0.5}}, {20, 0.5, 0}), 20u);
  EXPECT_EQ(Run({{0, 0.5}}, {1000, 0.5, 0}), kMostRounds);
}

TEST_F(SamplingTest, WarmsUpForATime) {
  ASSERT_EQ(Run({{0, 0.25}}, {0, 0.25, 2}), kFewestRounds);
  EXPECT_EQ(calls.size(), 8 + kFewestRounds);
}

TEST_F(SamplingTest, AClockThatStandsStillDividesNothingByZero) {
  ASSERT_EQ(Run({{0, 0}}, {0, 1e-8, 0}), kFewestRounds);
  EXPECT_GT(nanoseconds_[0], 0);
}

TEST_F(SamplingTest, TheModelThatFailsIsNamed) {
  EXPECT_EQ(Run({{0, 1}, {1, 1, 2}}, {0, 1, 0}), 0u);
  EXPECT_EQ(failed_, 1u);
  EXPECT_EQ(Run({{0, 1, 4}, {1, 1}}, {0, 1, 0}), 0u);
  EXPECT_EQ(failed_, 0u);
}

TEST_F(SamplingTest, TheRealClockMoves) {
  const double start = Now();
  while (Now() == start) continue;
  EXPECT_GT(Now(), start);
}

}  // namespace
}  // namespace tfprune
