// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/graph/arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace tfprune {
namespace {

std::vector<size_t> Plan(const std::vector<Lifetime>& lifetimes, size_t alignment, size_t* total) {
  std::vector<size_t> offsets(lifetimes.size());
  const Status status =
      PlanArena(lifetimes.data(), static_cast<uint32_t>(lifetimes.size()), alignment, offsets.data(), total);
  EXPECT_TRUE(status.ok()) << status.message;
  return offsets;
}

// The most bytes that are needed at one step: no plan is smaller.
size_t LowerBound(const std::vector<Lifetime>& lifetimes, size_t alignment) {
  size_t most = 0;
  for (const Lifetime& at : lifetimes) {
    size_t bytes = 0;
    for (const Lifetime& other : lifetimes) {
      if (other.first <= at.first && at.first <= other.last) {
        bytes += (other.bytes + alignment - 1) / alignment * alignment;
      }
    }
    most = std::max(most, bytes);
  }
  return most;
}

void Check(const std::vector<Lifetime>& lifetimes, size_t alignment) {
  size_t total = 0;
  const std::vector<size_t> offsets = Plan(lifetimes, alignment, &total);
  for (size_t i = 0; i < lifetimes.size(); ++i) {
    const Lifetime& a = lifetimes[i];
    ASSERT_EQ(offsets[i] % alignment, 0u);
    ASSERT_LE(offsets[i] + a.bytes, total);
    for (size_t j = 0; j < i; ++j) {
      const Lifetime& b = lifetimes[j];
      if (a.first > b.last || b.first > a.last) continue;
      ASSERT_TRUE(offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i]) << i << " and " << j;
    }
  }
  ASSERT_GE(total, LowerBound(lifetimes, alignment));
}

TEST(Arena, NothingAndOne) {
  size_t total = 7;
  EXPECT_TRUE(Plan({}, 64, &total).empty());
  EXPECT_EQ(total, 0u);
  EXPECT_EQ(Plan({{3, 5, 100}}, 64, &total), std::vector<size_t>{0});
  EXPECT_EQ(total, 128u);
}

TEST(Arena, AChainNeedsItsTwoLargestNeighbours) {
  std::vector<Lifetime> chain;
  const size_t sizes[] = {640, 1280, 320, 640, 64};
  for (uint32_t i = 0; i < 5; ++i) chain.push_back({i, i + 1, sizes[i]});
  size_t total = 0;
  Plan(chain, 64, &total);
  EXPECT_EQ(total, 1280u + 640u);
  Check(chain, 64);
}

// A residual block: its input stays until the addition.
TEST(Arena, ATensorThatIsReadLateKeepsItsPlace) {
  const std::vector<Lifetime> block = {{0, 3, 512}, {1, 2, 1024}, {2, 3, 512}, {3, 4, 512}};
  size_t total = 0;
  Plan(block, 64, &total);
  EXPECT_EQ(total, 2048u);
  Check(block, 64);
}

TEST(Arena, ATensorTakesTheTightestGap) {
  // From step 5 on the second and the fourth leave gaps of 512 and 128 bytes.
  const std::vector<Lifetime> tensors = {{0, 9, 1024}, {0, 4, 512}, {0, 9, 256}, {0, 4, 128}, {0, 9, 128}, {5, 9, 100}};
  size_t total = 0;
  const std::vector<size_t> offsets = Plan(tensors, 64, &total);
  EXPECT_EQ(total, 2048u);
  EXPECT_EQ(offsets[5], offsets[3]);
  Check(tensors, 64);
}

TEST(Arena, RandomLifetimesNeverOverlap) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    std::vector<Lifetime> lifetimes(random() % 40);
    for (Lifetime& one : lifetimes) {
      one.first = random() % 30;
      one.last = one.first + random() % 8;
      one.bytes = random() % 5000;
    }
    Check(lifetimes, size_t{1} << random() % 9);
    if (HasFatalFailure()) return;
  }
}

TEST(Arena, SizesThatOverflowAreAnError) {
  const Lifetime lifetimes[] = {{0, 1, SIZE_MAX - 10}, {0, 1, 64}};
  size_t offsets[2], total = 0;
  EXPECT_STREQ(PlanArena(lifetimes, 2, 64, offsets, &total).message, "gpu: the tensors have too many bytes");
  EXPECT_STREQ(PlanArena(lifetimes, 2, 1, offsets, &total).message, "gpu: the tensors have too many bytes");
}

}  // namespace
}  // namespace tfprune
