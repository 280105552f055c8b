// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/select/operands.h"
#include "tflite_ops/gpu/select/ops.h"
#include "tflite_ops/gpu/tasks/depthwise.h"

namespace tfprune {

// Inputs: x [N, H, W, C], weights [1, kernel_h, kernel_w, O], bias [O] or none; O is a multiple of C.
Status SelectDepthwiseConv2D(const DeviceFacts& facts, Storage storage, const Node& node, Selection* selection) {
  DepthwiseSpec spec;
  FloatConstant weights, bias;
  TFPRUNE_RETURN_IF_ERROR(ReadImage(node, 0, &spec.in));
  TFPRUNE_RETURN_IF_ERROR(weights.Read(node, 1, "weights"));
  const TensorShape &x = node.inputs[0].shape, &w = node.inputs[1].shape;
  if (x.rank != 4 || w.rank != 4 || w.sizes[0] != 1) {
    return Error(
        "gpu DEPTHWISE_CONV_2D: weights must be [1, kernel_h, kernel_w, O] for an input of [N, H, W, C], got %s for %s",
        ShapeText(w).text, ShapeText(x).text);
  }
  TFPRUNE_RETURN_IF_ERROR(ReadWindow(node, spec.in, w.sizes[1], w.sizes[2], w.sizes[3], &spec.window, &spec.out));
  TFPRUNE_RETURN_IF_ERROR(bias.ReadBias(node, 2, w.sizes[3]));
  TFPRUNE_RETURN_IF_ERROR(ReadBounds(node, node.activation, &spec.bounds));
  spec.bias = bias.values();
  selection->image = spec.out;
  selection->output = FourSizes(spec.out);
  selection->input_count = 1;
  return MakeDepthwise(facts, storage, spec, weights.values(), selection->task);
}

}  // namespace tfprune
