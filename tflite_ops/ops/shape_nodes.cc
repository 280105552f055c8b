// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/shape_nodes.h"

#include "tensorflow/lite/builtin_ops.h"
#include "tflite_ops/ops/tensors.h"

namespace tfprune {
namespace {

constexpr int kShapeOps[] = {kTfLiteBuiltinShape,        kTfLiteBuiltinPack,      kTfLiteBuiltinConcatenation,
                             kTfLiteBuiltinStridedSlice, kTfLiteBuiltinSlice,     kTfLiteBuiltinGather,
                             kTfLiteBuiltinMul,          kTfLiteBuiltinReduceProd};

// Of nodes behind one another that are followed, so that a crooked file costs little. Keras needs four.
constexpr int kMaxDepth = 6;

bool Find(TfLiteContext* context, int index, TfLiteNode** node, int* op) {
  TfLiteRegistration* registration = nullptr;
  if (context->GetNodeAndRegistration(context, index, node, &registration) != kTfLiteOk) return false;
  *op = registration->builtin_code;
  return true;
}

// Of shapes a tensor may have.
bool IsShort(const TfLiteTensor& tensor) {
  return tensor.dims != nullptr && tensor.dims->size <= 1 &&
         (tensor.dims->size == 0 || (tensor.dims->data[0] >= 0 && tensor.dims->data[0] <= static_cast<int>(kMaxRank)));
}

uint32_t SizeOf(int value) { return value < 0 ? kOpenSize : static_cast<uint32_t>(value); }

void SetOpen(uint32_t rank, TensorShape* shape) {
  shape->rank = rank;
  for (uint32_t i = 0; i < rank; ++i) shape->sizes[i] = kOpenSize;
}

// Open sizes stay open, as does what is too large.
uint32_t Product(uint32_t a, uint32_t b) {
  const uint64_t product = uint64_t{a} * b;
  return a == kOpenSize || b == kOpenSize || product >= kOpenSize ? kOpenSize : static_cast<uint32_t>(product);
}

// What SHAPE writes, with kOpenSize where the file leaves a size open or, where it names none, for the first one.
bool ShapeOf(const TfLiteTensor& tensor, TensorShape* shape) {
  if (tensor.dims == nullptr || tensor.dims->size > static_cast<int>(kMaxRank)) return false;
  const TfLiteIntArray* const signature = tensor.dims_signature;
  bool names = false;
  shape->rank = static_cast<uint32_t>(tensor.dims->size);
  for (int i = 0; i < tensor.dims->size; ++i) {
    const bool open = signature != nullptr && signature->size == tensor.dims->size && signature->data[i] < 0;
    shape->sizes[i] = open ? kOpenSize : SizeOf(tensor.dims->data[i]);
    names = names || open;
  }
  if (!names && shape->rank > 0) shape->sizes[0] = kOpenSize;
  return true;
}

bool Append(const TensorShape& part, TensorShape* shape) {
  if (shape->rank + part.rank > kMaxRank) return false;
  for (uint32_t i = 0; i < part.rank; ++i) shape->sizes[shape->rank++] = part.sizes[i];
  return true;
}

// The entries of `from` at `places`, which GATHER counts from 0.
bool Gather(const TensorShape& from, const TensorShape& places, TensorShape* shape) {
  for (uint32_t i = 0; i < places.rank; ++i) {
    if (places.sizes[i] >= from.rank) return false;
    shape->sizes[i] = from.sizes[places.sizes[i]];
  }
  shape->rank = places.rank;
  return true;
}

bool Multiply(const TensorShape& a, const TensorShape& b, TensorShape* shape) {
  if (a.rank == 0 || b.rank == 0 || (a.rank != b.rank && a.rank != 1 && b.rank != 1)) return false;
  shape->rank = a.rank > b.rank ? a.rank : b.rank;
  for (uint32_t i = 0; i < shape->rank; ++i) {
    shape->sizes[i] = Product(a.sizes[a.rank == 1 ? 0 : i], b.sizes[b.rank == 1 ? 0 : i]);
  }
  return true;
}

void MultiplyAll(const TensorShape& from, TensorShape* shape) {
  shape->rank = 1;
  shape->sizes[0] = 1;
  for (uint32_t i = 0; i < from.rank; ++i) shape->sizes[0] = Product(shape->sizes[0], from.sizes[i]);
}

}  // namespace

bool ShapeNodes::Contains(TfLiteContext* context, int index) {
  TfLiteNode* node = nullptr;
  int op = 0;
  // LiteRT lets any output be left out.
  if (!Find(context, index, &node, &op) || node->outputs->size != 1 || node->outputs->data[0] < 0) return false;
  bool known = false;
  for (const int shape_op : kShapeOps) known = known || op == shape_op;
  const TfLiteTensor& output = context->tensors[node->outputs->data[0]];
  return known && output.type == kTfLiteInt32 && IsShort(output);
}

bool ShapeNodes::Read(TfLiteContext* context, const TfLiteIntArray& nodes) {
  if (!writers_.Reserve(context->tensors_size + 1)) return false;
  context_ = context;
  for (int i = 0; i < nodes.size; ++i) {
    TfLiteNode* node = nullptr;
    int op = 0;
    if (!Contains(context, nodes.data[i]) || !Find(context, nodes.data[i], &node, &op)) continue;
    writers_[static_cast<size_t>(node->outputs->data[0])] = nodes.data[i] + 1;
  }
  return true;
}

bool ShapeNodes::Evaluate(const TfLiteNode& node, int op, int depth, TensorShape* shape) const {
  const TfLiteIntArray& inputs = *node.inputs;
  if (op == kTfLiteBuiltinShape) {
    return inputs.size == 1 && inputs.data[0] >= 0 && ShapeOf(context_->tensors[inputs.data[0]], shape);
  }
  if (op == kTfLiteBuiltinPack || op == kTfLiteBuiltinConcatenation) {
    for (int i = 0; i < inputs.size; ++i) {
      TensorShape part;
      if (!Follow(inputs.data[i], depth, &part) || !Append(part, shape)) return false;
    }
    return true;
  }
  TensorShape first, second;
  if (inputs.size != 2 || !Follow(inputs.data[0], depth, &first) || !Follow(inputs.data[1], depth, &second)) {
    return false;
  }
  if (op == kTfLiteBuiltinGather) return Gather(first, second, shape);
  if (op == kTfLiteBuiltinMul) return Multiply(first, second, shape);
  if (op != kTfLiteBuiltinReduceProd) return false;
  MultiplyAll(first, shape);
  return true;
}

// The numbers in `tensor`, of which there are as many as it says; false where it is none of shapes.
bool ShapeNodes::Follow(int tensor, int depth, TensorShape* shape) const {
  if (tensor < 0) return false;
  const TfLiteTensor& sizes = context_->tensors[tensor];
  *shape = {};
  if (sizes.type != kTfLiteInt32 || !IsShort(sizes)) return false;
  const uint32_t count = sizes.dims->size == 0 ? 1 : static_cast<uint32_t>(sizes.dims->data[0]);
  if (IsConstant(sizes, kTfLiteInt32)) {
    if (sizes.bytes < count * sizeof(int)) return false;
    shape->rank = count;
    for (uint32_t i = 0; i < count; ++i) shape->sizes[i] = SizeOf(sizes.data.i32[i]);
    return true;
  }
  TfLiteNode* node = nullptr;
  int op = 0;
  const int writer = writers_[static_cast<size_t>(tensor)];
  const bool known = depth < kMaxDepth && writer != 0 && Find(context_, writer - 1, &node, &op) &&
                     Evaluate(*node, op, depth + 1, shape) && shape->rank == count;
  if (!known) SetOpen(count, shape);
  return true;
}

bool ShapeNodes::ReadShape(int tensor, TensorShape* shape) const {
  if (tensor < 0) return false;
  const bool computed = writers_[static_cast<size_t>(tensor)] != 0;
  return (computed || IsConstant(context_->tensors[tensor], kTfLiteInt32)) && Follow(tensor, 0, shape);
}

}  // namespace tfprune
