// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/compiled_model/output_layout.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

namespace tfprune {
namespace {

using Dims = std::vector<int32_t>;
using Function = Status (*)(const LiteRtLayout*, LiteRtLayout*);

LiteRtLayout Layout(const Dims& dims) {
  LiteRtLayout layout = {};
  layout.rank = static_cast<uint32_t>(dims.size());
  std::copy(dims.begin(), dims.end(), layout.dimensions);
  return layout;
}

// The dims of the output, or none and the error's message.
Dims OutputDims(Function function, std::initializer_list<Dims> inputs, std::string* error = nullptr) {
  std::vector<LiteRtLayout> layouts;
  for (const Dims& dims : inputs) layouts.push_back(Layout(dims));
  LiteRtLayout output = {};
  output.has_strides = 1;
  const Status status = function(layouts.data(), &output);
  if (error != nullptr) *error = status.message;
  if (!status.ok()) return {};
  EXPECT_EQ(output.has_strides, 0u);
  return Dims(output.dimensions, output.dimensions + output.rank);
}

TEST(OutputLayoutTest, ConvolutionsFollowStridesAndExtents) {
  EXPECT_EQ(OutputDims(ConvOutputLayout, {{1, 16, 16, 8}, {9}, {32, 1, 1, 1, 1}}), (Dims{1, 16, 16, 32}));
  EXPECT_EQ(OutputDims(ConvOutputLayout, {{3, 17, 16, 8}, {9}, {32, 2, 2, 1, 1}}), (Dims{3, 9, 8, 32}));
  EXPECT_EQ(OutputDims(ConvOutputLayout, {{1, 16, 9, 8}, {9}, {32, 2, 3, 3, 5}}), (Dims{1, 7, 2, 32}));
  // Smaller than the kernel, and without images.
  EXPECT_EQ(OutputDims(ConvOutputLayout, {{0, 2, 9, 8}, {9}, {32, 1, 1, 3, 3}}), (Dims{0, 0, 7, 32}));
}

TEST(OutputLayoutTest, FullyConnectedLayersFlattenOrKeepDimensions) {
  EXPECT_EQ(OutputDims(FullyConnectedOutputLayout, {{5, 64}, {9}, {10, 1, 1}}), (Dims{5, 10}));
  EXPECT_EQ(OutputDims(FullyConnectedOutputLayout, {{5, 7, 4, 16}, {9}, {10, 2, 1}}), (Dims{35, 10}));
  EXPECT_EQ(OutputDims(FullyConnectedOutputLayout, {{5, 7, 64}, {9}, {10, 1, 2}}), (Dims{5, 7, 10}));
}

TEST(OutputLayoutTest, WhatDoesNotFitIsRefused) {
  std::string error;
  EXPECT_TRUE(OutputDims(ConvOutputLayout, {{16, 16, 8}, {9}, {32, 1, 1, 1, 1}}, &error).empty());
  EXPECT_EQ(error, "the input must have 4 dimensions, got 3");
  EXPECT_TRUE(OutputDims(ConvOutputLayout, {{1, 16, 16, 8}, {9}, {32, 0, 1, 1, 1}}, &error).empty());
  EXPECT_EQ(error, "dimension 1 of the geometry is 0");
  EXPECT_TRUE(OutputDims(ConvOutputLayout, {{1, -1, 16, 8}, {9}, {32, 1, 1, 1, 1}}, &error).empty());
  EXPECT_EQ(error, "dimension 1 of the input is -1");
  EXPECT_TRUE(OutputDims(FullyConnectedOutputLayout, {{64}, {9}, {10, 2, 1}}, &error).empty());
  EXPECT_EQ(error, "2 feature dimensions do not fit an input of 1 dimensions");
  EXPECT_TRUE(OutputDims(FullyConnectedOutputLayout, {{70000, 70000, 4}, {9}, {10, 1, 1}}, &error).empty());
  EXPECT_EQ(error, "the batch of the input is too large");
}

}  // namespace
}  // namespace tfprune
