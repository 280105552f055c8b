// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/float_constants.h"

#include "tensorflow/lite/builtin_ops.h"
#include "tflite_ops/formats/half.h"
#include "tflite_ops/ops/tensors.h"

namespace tfprune {
namespace {

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

size_t FloatValues::HalvesIn(const TfLiteContext& context, int stored) {
  if (stored < 0 || context.tensors[stored].type != kTfLiteFloat16) return 0;
  return context.tensors[stored].bytes / sizeof(uint16_t);
}

const float* FloatValues::Of(const TfLiteContext& context, int stored) {
  if (stored < 0) return nullptr;
  const size_t halves = HalvesIn(context, stored);
  if (halves == 0) return context.tensors[stored].data.f;
  float* floats = room_.data() + used_;
  HalvesToFloats(static_cast<const uint16_t*>(context.tensors[stored].data.data), halves, floats);
  used_ += halves;
  return floats;
}

}  // namespace tfprune
