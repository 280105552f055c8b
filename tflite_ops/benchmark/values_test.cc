// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/benchmark/values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>
#include <vector>

namespace tfprune {
namespace {

TEST(Fill, FloatsAreNormal) {
  std::vector<float> values(20000);
  Random random(3);
  ASSERT_TRUE(Fill(kTfLiteFloat32, values.data(), values.size() * 4, &random));
  double sum = 0, squares = 0;
  for (const float value : values) sum += value, squares += double{value} * value;
  EXPECT_NEAR(sum / 20000, 0, 0.03);
  EXPECT_NEAR(squares / 20000, 1, 0.05);
}

TEST(Fill, SeedsRepeat) {
  float a[3], b[3], c[3];
  Random first(1), again(1), other(2);
  ASSERT_TRUE(Fill(kTfLiteFloat32, a, sizeof(a), &first));
  ASSERT_TRUE(Fill(kTfLiteFloat32, b, sizeof(b), &again));
  ASSERT_TRUE(Fill(kTfLiteFloat32, c, sizeof(c), &other));
  EXPECT_EQ(memcmp(a, b, sizeof(a)), 0);
  EXPECT_NE(memcmp(a, c, sizeof(a)), 0);
}

TEST(Fill, NarrowWholeNumbersAreAnyAndWideOnesAreIndices) {
  Random random(0);
  int8_t bytes[4000];
  ASSERT_TRUE(Fill(kTfLiteInt8, bytes, sizeof(bytes), &random));
  EXPECT_EQ(std::set<int8_t>(bytes, bytes + 4000).size(), 256u);
  int64_t indices[64];
  ASSERT_TRUE(Fill(kTfLiteInt64, indices, sizeof(indices), &random));
  EXPECT_EQ(std::set<int64_t>(indices, indices + 64), (std::set<int64_t>{0, 1}));
  uint8_t switches[64];
  ASSERT_TRUE(Fill(kTfLiteBool, switches, sizeof(switches), &random));
  EXPECT_EQ(std::set<uint8_t>(switches, switches + 64), (std::set<uint8_t>{0, 1}));
}

TEST(Fill, StaysInsideTheTensor) {
  uint8_t bytes[8] = {9, 9, 9, 9, 9, 9, 9, 9};
  Random random(0);
  ASSERT_TRUE(Fill(kTfLiteFloat32, bytes, 7, &random));
  EXPECT_EQ(bytes[4], 9);
  EXPECT_FALSE(Fill(kTfLiteString, bytes, 8, &random));
  EXPECT_EQ(bytes[7], 9);
}

TEST(RelativeError, IsByTheLargestValue) {
  const float a[] = {1, -4, 2}, b[] = {1, -4, 3};
  double error = -1;
  ASSERT_TRUE(RelativeError(kTfLiteFloat32, a, b, sizeof(a), &error));
  EXPECT_EQ(error, 0.25);
  const uint8_t low[] = {0, 200}, high[] = {255, 200};
  ASSERT_TRUE(RelativeError(kTfLiteUInt8, low, high, 2, &error));
  EXPECT_EQ(error, 255.0 / 200);
  const int8_t bottom[] = {-128}, top[] = {127};
  ASSERT_TRUE(RelativeError(kTfLiteInt8, bottom, top, 1, &error));
  EXPECT_EQ(error, 255.0 / 128);
}

TEST(RelativeError, OfZerosIsTheDifference) {
  const float zeros[] = {0, 0}, other[] = {0, 0.5f};
  double error = -1;
  ASSERT_TRUE(RelativeError(kTfLiteFloat32, zeros, other, sizeof(zeros), &error));
  EXPECT_EQ(error, 0.5);
  ASSERT_TRUE(RelativeError(kTfLiteFloat32, zeros, zeros, sizeof(zeros), &error));
  EXPECT_EQ(error, 0);
}

TEST(RelativeError, WhatIsNoNumberIsNeverRight) {
  const float numbers[] = {1, 2}, nan[] = {1, NAN}, infinite[] = {INFINITY, 2};
  double error = 0;
  for (const float* wrong : {nan, infinite}) {
    ASSERT_TRUE(RelativeError(kTfLiteFloat32, numbers, wrong, 8, &error));
    EXPECT_TRUE(std::isinf(error));
    ASSERT_TRUE(RelativeError(kTfLiteFloat32, wrong, wrong, 8, &error));
    EXPECT_TRUE(std::isinf(error));
  }
  EXPECT_FALSE(RelativeError(kTfLiteString, numbers, numbers, 8, &error));
}

}  // namespace
}  // namespace tfprune
