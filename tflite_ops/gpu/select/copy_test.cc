// SPDX-License-Identifier: Apache-2.0
// PAD, PADV2, SLICE and CONCATENATION, on tensors of every number of dimensions.
#include "tflite_ops/gpu/select/nodes.h"

namespace tfprune {
namespace {

void AddInts(Node* node, const Sizes& sizes, const std::vector<int32_t>& values) {
  AddOperand(node, ElementType::kInt32, sizes, values.data(), values.size() * sizeof(int32_t));
}

// Steps of a tensor in its flat order.
Sizes Steps(const Sizes& sizes) {
  Sizes steps(sizes.size(), 1);
  for (size_t i = sizes.size(); i-- > 1;) steps[i - 1] = steps[i] * sizes[i];
  return steps;
}

size_t Count(const Sizes& sizes) {
  size_t count = 1;
  for (const uint32_t size : sizes) count *= size;
  return count;
}

// Writes `part` into `whole`, its first value at `at`; what lies outside is left out.
void Put(const std::vector<float>& part, const Sizes& part_sizes, const std::vector<int32_t>& at, const Sizes& sizes,
         std::vector<float>* whole) {
  const Sizes from = Steps(part_sizes), to = Steps(sizes);
  for (size_t i = 0; i < part.size(); ++i) {
    size_t place = 0;
    bool inside = true;
    for (size_t axis = 0; axis < sizes.size(); ++axis) {
      const int64_t index = static_cast<int64_t>(i / from[axis] % part_sizes[axis]) + at[axis];
      inside = inside && index >= 0 && index < sizes[axis];
      place += static_cast<size_t>(index) * to[axis];
    }
    if (inside) (*whole)[place] = part[i];
  }
}

TEST(SelectPad, EveryRank) {
  const struct {
    Sizes x;
    std::vector<int32_t> pads;
    Sizes y;
  } cases[] = {
      {{2, 3, 5, 2}, {0, 0, 1, 2, 2, 1, 0, 0}, {2, 6, 8, 2}},
      {{1, 3, 5, 2}, {1, 0, 0, 0, 0, 0, 2, 1}, {2, 3, 5, 5}},
      {{2, 5, 3}, {0, 1, 2, 1, 1, 0}, {3, 8, 4}},
      {{2, 5}, {1, 0, 2, 3}, {3, 10}},
      {{5}, {2, 1}, {8}},
  };
  for (const auto& one : cases) {
    const std::vector<float> x = RandomValues(Count(one.x), 1), fill = {-3.0f};
    std::vector<int32_t> at;
    for (size_t i = 0; i < one.pads.size(); i += 2) at.push_back(one.pads[i]);
    for (const NodeOp op : {NodeOp::kPad, NodeOp::kPadV2}) {
      Node node = NodeOf(op);
      AddImage(&node, one.x);
      AddInts(&node, {static_cast<uint32_t>(one.x.size()), 2}, one.pads);
      if (op == NodeOp::kPadV2) AddConstant(&node, {}, fill);
      std::vector<float> expected(Count(one.y), op == NodeOp::kPadV2 ? -3.0f : 0.0f);
      Put(x, one.x, at, one.y, &expected);
      ExpectValues(SelectAndRun(node, {x}, one.y), expected, 0.0f);
    }
  }
}

TEST(SelectSlice, EveryRank) {
  const struct {
    Sizes x;
    std::vector<int32_t> begin, size;
    Sizes y;
  } cases[] = {
      {{2, 5, 7, 3}, {0, 1, 2, 0}, {-1, 3, -1, 3}, {2, 3, 5, 3}},
      {{2, 3, 5, 6}, {1, 0, 0, 2}, {1, -1, -1, 3}, {1, 3, 5, 3}},
      {{2, 5, 3}, {1, 1, 0}, {1, 3, 2}, {1, 3, 2}},
      {{3, 9}, {1, 3}, {-1, 5}, {2, 5}},
      {{9}, {3}, {5}, {5}},
  };
  for (const auto& one : cases) {
    const std::vector<float> x = RandomValues(Count(one.x), 1);
    Node node = NodeOf(NodeOp::kSlice);
    AddImage(&node, one.x);
    AddInts(&node, {static_cast<uint32_t>(one.begin.size())}, one.begin);
    AddInts(&node, {static_cast<uint32_t>(one.size.size())}, one.size);
    std::vector<int32_t> at;
    for (const int32_t begin : one.begin) at.push_back(-begin);
    std::vector<float> expected(Count(one.y), NAN);
    Put(x, one.x, at, one.y, &expected);
    ExpectValues(SelectAndRun(node, {x}, one.y), expected, 0.0f);
  }
}

TEST(SelectConcatenation, EveryAxis) {
  for (const Sizes& first : {Sizes{2, 3, 5, 4}, {2, 5, 4}, {2, 5}, {5}, {2, 1, 1, 4}}) {
    for (size_t axis = 0; axis < first.size(); ++axis) {
      Sizes second = first, whole = first;
      second[axis] += 2;
      whole[axis] += second[axis];
      const std::vector<float> a = RandomValues(Count(first), 1), b = RandomValues(Count(second), 2);
      Node node = NodeOf(NodeOp::kConcatenation);
      node.axis = static_cast<int>(axis) - (axis % 2 == 0 ? 0 : static_cast<int>(first.size()));
      AddImage(&node, first);
      AddImage(&node, second);
      std::vector<float> expected(Count(whole), NAN);
      std::vector<int32_t> at(first.size(), 0);
      Put(a, first, at, whole, &expected);
      at[axis] = static_cast<int32_t>(first[axis]);
      Put(b, second, at, whole, &expected);
      ExpectValues(SelectAndRun(node, {a, b}, whole), expected, 0.0f);
    }
  }
}

TEST(SelectCopies, WhatDoesNotFitIsNamed) {
  const std::vector<int32_t> pads = {0, 0, -1, 0}, wide = {0, 0, INT32_MAX, INT32_MAX}, begin = {0, 2}, size = {1, 3};
  const std::vector<float> fill = {1.0f, 2.0f};
  Node node = NodeOf(NodeOp::kPad);
  AddImage(&node, {2, 4});
  AddInts(&node, {2, 2}, pads);
  ExpectRefused(node, "gpu PAD: paddings of dimension 1 must be at least 0");
  node.inputs[1].values = wide.data();
  ExpectRefused(node, "got 2147483647 and 2147483647");
  node.inputs[1].values = nullptr;
  ExpectRefused(node, "the paddings must be a constant of 4 int32");
  node = NodeOf(NodeOp::kPadV2);
  AddImage(&node, {2});
  AddInts(&node, {1, 2}, begin);
  AddConstant(&node, {2}, fill);
  ExpectRefused(node, "gpu PADV2: the padded value must be one, got [2]");
  node = NodeOf(NodeOp::kSlice);
  AddImage(&node, {2, 4});
  AddInts(&node, {2}, begin);
  AddInts(&node, {2}, size);
  ExpectRefused(node, "gpu SLICE: begin 2 and size 3 do not lie in dimension 1 of [2, 4]");
  node = NodeOf(NodeOp::kConcatenation);
  AddImage(&node, {2, 4});
  ExpectRefused(node, "gpu CONCATENATION: there must be 2 inputs, got 1");
  AddImage(&node, {3, 3});
  ExpectRefused(node, "[2, 4] and [3, 3] cannot be put together along axis 0");
  node.inputs[1].shape = ShapeOf({2, 4});
  node.axis = -3;
  ExpectRefused(node, "along axis -3");
  node.axis = 1;
  node.activation = 1;
  ExpectRefused(node, "a fused activation has no kernel, got TFLite's number 1");
}

}  // namespace
}  // namespace tfprune
