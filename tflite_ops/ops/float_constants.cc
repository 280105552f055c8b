// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/float_constants.h"

#include "tensorflow/lite/builtin_ops.h"

namespace tfprune {
namespace {

bool IsConstant(const TfLiteTensor& tensor, TfLiteType type) {
  return tensor.type == type && tensor.allocation_type == kTfLiteMmapRo && tensor.data.raw_const != nullptr &&
         tensor.dims != nullptr;
}

// The node if it is a DEQUANTIZE of a constant of halves, else null.
const TfLiteNode* Widening(TfLiteContext* context, int index) {
  TfLiteNode* node = nullptr;
  TfLiteRegistration* registration = nullptr;
  if (context->GetNodeAndRegistration(context, index, &node, &registration) != kTfLiteOk ||
      registration->builtin_code != kTfLiteBuiltinDequantize || node->inputs->size != 1 || node->outputs->size != 1) {
    return nullptr;
  }
  const int from = node->inputs->data[0], to = node->outputs->data[0];
  if (from < 0 || to < 0 || !IsConstant(context->tensors[from], kTfLiteFloat16)) return nullptr;
  return context->tensors[to].type == kTfLiteFloat32 ? node : nullptr;
}

}  // namespace

bool WidensConstant(TfLiteContext* context, int node) { return Widening(context, node) != nullptr; }

bool FloatConstants::Read(TfLiteContext* context, const TfLiteIntArray& nodes) {
  if (!halves_.Reserve(context->tensors_size + 1)) return false;
  context_ = context;
  for (int i = 0; i < nodes.size; ++i) {
    const TfLiteNode* node = Widening(context, nodes.data[i]);
    if (node != nullptr) halves_[static_cast<size_t>(node->outputs->data[0])] = node->inputs->data[0] + 1;
  }
  return true;
}

int FloatConstants::StoredAs(int tensor) const {
  if (IsConstant(context_->tensors[tensor], kTfLiteFloat32)) return tensor;
  return halves_[static_cast<size_t>(tensor)] - 1;
}

}  // namespace tfprune
