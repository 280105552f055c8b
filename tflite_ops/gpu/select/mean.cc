// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/select/operands.h"
#include "tflite_ops/gpu/select/ops.h"
#include "tflite_ops/gpu/tasks/pool.h"

namespace tfprune {
namespace {

// Whether axes are 1 and 2, in any order, of four; negative ones count from behind.
bool AreRowsAndColumns(const Operand& axes) {
  if (axes.type != ElementType::kInt32 || axes.values == nullptr || axes.bytes != 2 * sizeof(int32_t)) return false;
  const int32_t* const values = static_cast<const int32_t*>(axes.values);
  const int32_t a = values[0] < 0 ? values[0] + 4 : values[0], b = values[1] < 0 ? values[1] + 4 : values[1];
  return (a == 1 && b == 2) || (a == 2 && b == 1);
}

}  // namespace

// Inputs: x [N, H, W, C], axes.
Status SelectMean(const DeviceFacts& facts, Storage storage, const Node& node, Selection* selection) {
  ImageShape in;
  TFPRUNE_RETURN_IF_ERROR(ReadImage(node, 0, &in));
  const TensorShape& x = node.inputs[0].shape;
  if (x.rank != 4 || !AreRowsAndColumns(InputOf(node, 1))) {
    return Error("gpu MEAN: axes must be the constants 1 and 2 of an input of [N, H, W, C], got others, or %s",
                 ShapeText(x).text);
  }
  selection->image = {in.batch, 1, 1, in.channels};
  selection->output = node.keep_dims ? FourSizes(selection->image) : TensorShape{2, {in.batch, in.channels}};
  selection->input_count = 1;
  return MakeMean(facts, storage, in, selection->task);
}

}  // namespace tfprune
