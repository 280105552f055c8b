// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/tasks/depth_to_space.h"

#include "tflite_ops/gpu/select/operands.h"
#include "tflite_ops/gpu/select/ops.h"

namespace tfprune {

Status SelectDepthToSpace(const DeviceFacts& facts, Storage storage, const Node& node, Selection* selection) {
  DepthToSpaceSpec spec;
  spec.to_space = node.op == NodeOp::kDepthToSpace;
  spec.block = node.block;
  TFPRUNE_RETURN_IF_ERROR(ReadImage(node, 0, &spec.in));
  const TensorShape& x = node.inputs[0].shape;
  if (x.rank != 4 || spec.block == 0 || spec.block > DepthToSpaceSpec::kMostBlock) {
    return Error("gpu %s: blocks must be 1 to %u and the input [N, H, W, C], got %u for %s", NodeOpName(node.op),
                 DepthToSpaceSpec::kMostBlock, spec.block, ShapeText(x).text);
  }
  selection->image = spec.out();
  selection->output = FourSizes(selection->image);
  selection->input_count = 1;
  return MakeDepthToSpace(facts, storage, spec, selection->task);
}

}  // namespace tfprune
