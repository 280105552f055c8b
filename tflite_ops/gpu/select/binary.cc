// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/tasks/binary.h"

#include "tflite_ops/gpu/select/operands.h"
#include "tflite_ops/gpu/select/ops.h"

namespace tfprune {
namespace {

// `swapped`: a of the task is the node's second input.
Operation OperationOf(NodeOp op, bool swapped) {
  switch (op) {
    case NodeOp::kSub:
      return swapped ? Operation::kSubtractFrom : Operation::kSubtract;
    case NodeOp::kDiv:
      return swapped ? Operation::kDivideInto : Operation::kDivide;
    case NodeOp::kMul:
      return Operation::kMultiply;
    case NodeOp::kMaximum:
      return Operation::kMaximum;
    case NodeOp::kMinimum:
      return Operation::kMinimum;
    default:
      return Operation::kAdd;
  }
}

// With ones in front, as broadcasting reads shapes. False where it has more dimensions already.
bool Aligned(const TensorShape& shape, uint32_t rank, TensorShape* aligned) {
  if (shape.rank > rank) return false;
  aligned->rank = rank;
  for (uint32_t i = 0; i < rank; ++i) {
    const uint32_t ones = rank - shape.rank;
    aligned->sizes[i] = i < ones ? 1 : shape.sizes[i - ones];
  }
  return true;
}

// Whether `b` can be broadcast to `a`, which is then the shape of the result.
bool Broadcasts(const TensorShape& b, const TensorShape& a) {
  TensorShape aligned;
  if (!Aligned(b, a.rank, &aligned)) return false;
  for (uint32_t i = 0; i < a.rank; ++i) {
    if (aligned.sizes[i] != a.sizes[i] && aligned.sizes[i] != 1) return false;
  }
  return true;
}

}  // namespace

Status SelectBinary(const DeviceFacts& facts, Storage storage, const Node& node, Selection* selection) {
  const char* const name = NodeOpName(node.op);
  const Operand &first = InputOf(node, 0), &second = InputOf(node, 1);
  const bool swapped = first.values != nullptr || !Broadcasts(second.shape, first.shape);
  const uint32_t ai = swapped ? 1 : 0, bi = 1 - ai;
  const Operand &a = swapped ? second : first, &b = swapped ? first : second;
  if (!Broadcasts(b.shape, a.shape)) {
    return Error("gpu %s: one input must have the shape of the result and be no constant, got %s and %s", name,
                 ShapeText(first.shape).text, ShapeText(second.shape).text);
  }
  BinarySpec spec;
  spec.operation = OperationOf(node.op, swapped);
  TFPRUNE_RETURN_IF_ERROR(ReadImage(node, ai, &spec.a));
  TensorShape aligned;
  Aligned(b.shape, a.shape.rank, &aligned);
  TFPRUNE_RETURN_IF_ERROR(ToImage(NodeOpName(node.op), aligned, &spec.b));
  const bool bounded = node.op != NodeOp::kMaximum && node.op != NodeOp::kMinimum;
  TFPRUNE_RETURN_IF_ERROR(ReadBounds(node, bounded ? node.activation : 0, &spec.bounds));
  selection->image = spec.a;
  selection->output = a.shape;
  selection->inputs[0] = ai;
  if (b.values != nullptr) {
    FloatConstant constant;
    TFPRUNE_RETURN_IF_ERROR(constant.Read(node, bi, "constant"));
    selection->input_count = 1;
    return MakeBinaryConstant(facts, storage, spec, constant.values(), selection->task);
  }
  ImageShape stored;
  TFPRUNE_RETURN_IF_ERROR(ReadImage(node, bi, &stored));
  if (!(stored == spec.b)) {
    return Error("gpu %s: %s is stored in other planes than a broadcast to %s reads", name, ShapeText(b.shape).text,
                 ShapeText(a.shape).text);
  }
  selection->inputs[1] = bi;
  selection->input_count = 2;
  return MakeBinary(facts, storage, spec, selection->task);
}

}  // namespace tfprune
