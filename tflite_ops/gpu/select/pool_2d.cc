// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/select/operands.h"
#include "tflite_ops/gpu/select/ops.h"
#include "tflite_ops/gpu/tasks/pool.h"

namespace tfprune {

Status SelectPool2D(const DeviceFacts& facts, Storage storage, const Node& node, Selection* selection) {
  PoolSpec spec;
  spec.kind = node.op == NodeOp::kMaxPool2D ? PoolKind::kMaximum : PoolKind::kAverage;
  TFPRUNE_RETURN_IF_ERROR(ReadImage(node, 0, &spec.in));
  const TensorShape& x = node.inputs[0].shape;
  if (x.rank != 4) {
    return Error("gpu %s: the input must be [N, H, W, C], got %s", NodeOpName(node.op), ShapeText(x).text);
  }
  TFPRUNE_RETURN_IF_ERROR(
      ReadWindow(node, spec.in, node.kernel_h, node.kernel_w, spec.in.channels, &spec.window, &spec.out));
  TFPRUNE_RETURN_IF_ERROR(ReadBounds(node, node.activation, &spec.bounds));
  selection->image = spec.out;
  selection->output = FourSizes(spec.out);
  selection->input_count = 1;
  return MakePool(facts, storage, spec, selection->task);
}

}  // namespace tfprune
