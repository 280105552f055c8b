// SPDX-License-Identifier: Apache-2.0
// TRANSPOSE, DEPTH_TO_SPACE and SPACE_TO_DEPTH.
#include "tflite_ops/gpu/select/nodes.h"

namespace tfprune {
namespace {

TEST(SelectTranspose, EveryRank) {
  const struct {
    Sizes x;
    std::vector<int32_t> order;
  } cases[] = {
      {{1, 3, 4, 5}, {0, 2, 3, 1}},
      {{2, 3, 4, 5}, {3, 0, -2, 1}},
      {{2, 3, 4}, {2, 0, 1}},
      {{2, 3, 4}, {0, 2, 1}},
      {{3, 4}, {1, 0}},
      {{6}, {0}},
  };
  for (const auto& one : cases) {
    const std::vector<float> x = RandomValues(Count(one.x), 1);
    const size_t rank = one.x.size();
    Sizes y;
    std::vector<size_t> from;
    for (const int32_t axis : one.order) from.push_back(static_cast<size_t>(axis < 0 ? axis + 4 : axis));
    for (const size_t axis : from) y.push_back(one.x[axis]);
    const Sizes in = Steps(one.x), out = Steps(y);
    std::vector<float> expected;
    for (size_t i = 0; i < x.size(); ++i) {
      size_t place = 0;
      for (size_t axis = 0; axis < rank; ++axis) place += i / out[axis] % y[axis] * in[from[axis]];
      expected.push_back(x[place]);
    }
    Node node = NodeOf(NodeOp::kTranspose);
    AddImage(&node, one.x);
    AddInts(&node, {static_cast<uint32_t>(rank)}, one.order);
    ExpectValues(SelectAndRun(node, {x}, y), expected, 0.0f);
  }
  const std::vector<int32_t> twice = {1, 1}, none = {0, 2};
  Node node = NodeOf(NodeOp::kTranspose);
  AddImage(&node, {3, 4});
  AddInts(&node, {2}, twice);
  ExpectRefused(node, "gpu TRANSPOSE: dimension 1 is none of [3, 4], or is named twice");
  node.inputs[1].values = none.data();
  ExpectRefused(node, "dimension 2 is none of [3, 4]");
}

TEST(SelectDepthToSpace, ThereAndBack) {
  const std::vector<float> deep = {1, 2, 3, 4, 5, 6, 7, 8}, wide = {1, 2, 5, 6, 3, 4, 7, 8};
  Node node = NodeOf(NodeOp::kDepthToSpace);
  node.block = 2;
  AddImage(&node, {1, 1, 2, 4});
  ExpectValues(SelectAndRun(node, {deep}, {1, 2, 4, 1}), wide, 0.0f);
  node.block = 3;
  ExpectRefused(node, "gpu depth to space: [1, 1, 2, 4] has no whole blocks of 3");
  node.block = 0;
  ExpectRefused(node, "gpu DEPTH_TO_SPACE: blocks must be 1 to 16384");
  node.block = 1u << 16;  // whose square is 0 in 32 bits
  ExpectRefused(node, "gpu DEPTH_TO_SPACE: blocks must be 1 to 16384");
  node = NodeOf(NodeOp::kSpaceToDepth);
  node.block = 2;
  AddImage(&node, {1, 2, 4, 1});
  ExpectValues(SelectAndRun(node, {wide}, {1, 1, 2, 4}), deep, 0.0f);
  node.inputs[0].shape = ShapeOf({2, 4, 1});
  ExpectRefused(node, "gpu SPACE_TO_DEPTH: blocks must be 1 to 16384 and the input [N, H, W, C], got 2 for [2, 4, 1]");
}

}  // namespace
}  // namespace tfprune
