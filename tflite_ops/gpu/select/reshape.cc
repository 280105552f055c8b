// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/select/operands.h"
#include "tflite_ops/gpu/select/ops.h"

namespace tfprune {

// Values follow one another in NHWC order in both shapes; they lie alike where images have equally many planes of equal
// length.
Status SelectReshape(const Node& node, Selection* selection) {
  ImageShape in;
  TFPRUNE_RETURN_IF_ERROR(ReadImage(node, 0, &in));
  TFPRUNE_RETURN_IF_ERROR(ToImage(NodeOpName(node.op), node.reshaped, &selection->image));
  const Planes from(in), to(selection->image);
  if (in.batch != selection->image.batch || from.planes != to.planes || from.plane_values != to.plane_values) {
    return Error("gpu RESHAPE: from %s to %s values would move, which has no kernel",
                 ShapeText(node.inputs[0].shape).text, ShapeText(node.reshaped).text);
  }
  selection->output = node.reshaped;
  selection->input_count = 1;
  selection->has_task = false;
  return {};
}

}  // namespace tfprune
