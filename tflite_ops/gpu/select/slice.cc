// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/select/operands.h"
#include "tflite_ops/gpu/select/ops.h"
#include "tflite_ops/gpu/tasks/copy.h"

namespace tfprune {

// Inputs: x, begin [rank], size [rank]; a size of -1 is all the rest.
Status SelectSlice(const DeviceFacts& facts, Storage storage, const Node& node, Selection* selection) {
  CopySpec spec;
  TFPRUNE_RETURN_IF_ERROR(ReadImage(node, 0, &spec.parts[0].shape));
  const TensorShape& x = node.inputs[0].shape;
  const int32_t *begins = nullptr, *sizes = nullptr;
  TFPRUNE_RETURN_IF_ERROR(ReadInts(node, 1, "begin", x.rank, &begins));
  TFPRUNE_RETURN_IF_ERROR(ReadInts(node, 2, "size", x.rank, &sizes));
  selection->output.rank = x.rank;
  for (uint32_t i = 0; i < x.rank; ++i) {
    const int64_t all = x.sizes[i], size = sizes[i] == -1 ? all - begins[i] : sizes[i];
    if (begins[i] < 0 || size < 1 || begins[i] + size > all) {
      return Error("gpu SLICE: begin %d and size %d do not lie in dimension %u of %s", begins[i], sizes[i], i,
                   ShapeText(x).text);
    }
    selection->output.sizes[i] = static_cast<uint32_t>(size);
    PlacePart(x.rank, i, -begins[i], &spec.parts[0]);
  }
  TFPRUNE_RETURN_IF_ERROR(ToImage(NodeOpName(node.op), selection->output, &spec.out));
  selection->image = spec.out;
  selection->input_count = 1;
  return MakeCopy(facts, storage, spec, selection->task);
}

}  // namespace tfprune
