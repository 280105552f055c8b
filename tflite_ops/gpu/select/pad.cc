// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/select/operands.h"
#include "tflite_ops/gpu/select/ops.h"
#include "tflite_ops/gpu/tasks/copy.h"

namespace tfprune {

// Inputs: x, paddings [rank, 2] before and behind each dimension; of PADV2 the value that is put there.
Status SelectPad(const DeviceFacts& facts, Storage storage, const Node& node, Selection* selection) {
  CopySpec spec;
  TFPRUNE_RETURN_IF_ERROR(ReadImage(node, 0, &spec.parts[0].shape));
  const TensorShape& x = node.inputs[0].shape;
  const int32_t* pads = nullptr;
  TFPRUNE_RETURN_IF_ERROR(ReadInts(node, 1, "paddings", 2 * x.rank, &pads));
  selection->output.rank = x.rank;
  for (uint32_t i = 0; i < x.rank; ++i) {
    const int64_t size = int64_t{x.sizes[i]} + pads[2 * i] + pads[2 * i + 1];
    if (pads[2 * i] < 0 || pads[2 * i + 1] < 0 || size > INT32_MAX) {
      return Error(
          "gpu %s: paddings of dimension %u must be at least 0 and leave fewer than 2^31 values, got %d and %d",
          NodeOpName(node.op), i, pads[2 * i], pads[2 * i + 1]);
    }
    selection->output.sizes[i] = static_cast<uint32_t>(size);
    PlacePart(x.rank, i, pads[2 * i], &spec.parts[0]);
  }
  if (node.op == NodeOp::kPadV2) {
    FloatConstant fill;
    size_t count = 0;
    TFPRUNE_RETURN_IF_ERROR(fill.Read(node, 2, "padded value"));
    if (!ValueCount(InputOf(node, 2).shape, &count) || count != 1) {
      return Error("gpu PADV2: the padded value must be one, got %s", ShapeText(InputOf(node, 2).shape).text);
    }
    spec.fill = fill.values()[0];
  }
  TFPRUNE_RETURN_IF_ERROR(ToImage(NodeOpName(node.op), selection->output, &spec.out));
  selection->image = spec.out;
  selection->input_count = 1;
  return MakeCopy(facts, storage, spec, selection->task);
}

}  // namespace tfprune
