// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/select/operands.h"
#include "tflite_ops/gpu/select/ops.h"
#include "tflite_ops/gpu/tasks/copy.h"

namespace tfprune {

Status SelectConcatenation(const DeviceFacts& facts, Storage storage, const Node& node, Selection* selection) {
  if (node.input_count != kMaxParts) {
    return Error("gpu CONCATENATION: there must be %u inputs, got %u", kMaxParts, node.input_count);
  }
  if (node.activation != 0) {
    return Error("gpu CONCATENATION: a fused activation has no kernel, got TFLite's number %d", node.activation);
  }
  CopySpec spec;
  spec.part_count = kMaxParts;
  TFPRUNE_RETURN_IF_ERROR(ReadImage(node, 0, &spec.parts[0].shape));
  TFPRUNE_RETURN_IF_ERROR(ReadImage(node, 1, &spec.parts[1].shape));
  const TensorShape &a = node.inputs[0].shape, &b = node.inputs[1].shape;
  const int64_t rank = a.rank, axis = node.axis < 0 ? rank + node.axis : node.axis;
  bool fits = axis >= 0 && axis < rank && b.rank == a.rank;
  for (uint32_t i = 0; fits && i < a.rank; ++i) fits = i == axis || a.sizes[i] == b.sizes[i];
  if (!fits) {
    return Error("gpu CONCATENATION: %s and %s cannot be put together along axis %d", ShapeText(a).text,
                 ShapeText(b).text, node.axis);
  }
  // Neither has 2^31 values, so the sum fits.
  selection->output = a;
  selection->output.sizes[axis] += b.sizes[axis];
  PlacePart(a.rank, static_cast<uint32_t>(axis), static_cast<int32_t>(a.sizes[axis]), &spec.parts[1]);
  TFPRUNE_RETURN_IF_ERROR(ToImage(NodeOpName(node.op), selection->output, &spec.out));
  selection->image = spec.out;
  selection->inputs[1] = 1;
  selection->input_count = 2;
  return MakeCopy(facts, storage, spec, selection->task);
}

}  // namespace tfprune
