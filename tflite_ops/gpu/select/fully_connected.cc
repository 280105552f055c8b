// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/select/operands.h"
#include "tflite_ops/gpu/select/ops.h"
#include "tflite_ops/gpu/select/product.h"

namespace tfprune {

// Inputs: x, weights [O, features], bias [O] or none.
Status SelectFullyConnected(const DeviceFacts& facts, Storage storage, const Node& node, Selection* selection) {
  ConvSpec spec;
  FloatConstant weights, bias;
  TFPRUNE_RETURN_IF_ERROR(weights.Read(node, 1, "weights"));
  const TensorShape& w = node.inputs[1].shape;
  if (w.rank != 2) {
    return Error("gpu FULLY_CONNECTED: weights must be [O, features], got %s", ShapeText(w).text);
  }
  TFPRUNE_RETURN_IF_ERROR(PlaceProduct(node, w.sizes[1], w.sizes[0], node.keep_dims, &spec, selection));
  TFPRUNE_RETURN_IF_ERROR(bias.ReadBias(node, 2, w.sizes[0]));
  TFPRUNE_RETURN_IF_ERROR(ReadBounds(node, node.activation, &spec.bounds));
  spec.bias = bias.values();
  return MakeConv(facts, storage, spec, weights.values(), selection->task);
}

}  // namespace tfprune
