// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/select/operands.h"
#include "tflite_ops/gpu/select/ops.h"
#include "tflite_ops/gpu/tasks/unary.h"

namespace tfprune {

// Over the last dimension, which is the channels of an image.
Status SelectSoftmax(const DeviceFacts& facts, Storage storage, const Node& node, Selection* selection) {
  TFPRUNE_RETURN_IF_ERROR(ReadImage(node, 0, &selection->image));
  selection->output = node.inputs[0].shape;
  selection->input_count = 1;
  return MakeSoftmax(facts, storage, selection->image, node.beta, selection->task);
}

}  // namespace tfprune
