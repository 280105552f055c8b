// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/tensors.h"

#include <stdlib.h>

namespace tfprune {

TfLiteIntArray* NewDims(int rank) {
  TfLiteIntArray* dims =
      static_cast<TfLiteIntArray*>(malloc(sizeof(TfLiteIntArray) + sizeof(int) * static_cast<size_t>(rank)));
  if (dims != nullptr) dims->size = rank;
  return dims;
}

Status ResizeOutput(TfLiteContext* context, const TfLiteNode& node, int output, TfLiteIntArray* dims) {
  if (dims == nullptr) return Error("no memory for a shape");
  bool planned = false;
  for (int i = 0; i < node.outputs->size; ++i) planned = planned || node.outputs->data[i] == output;
  TfLiteTensor* tensor = &context->tensors[output];
  if (!planned) tensor->allocation_type = kTfLiteDynamic;
  return context->ResizeTensor(context, tensor, dims) == kTfLiteOk ? Status{}
                                                                   : Error("the output could not be resized");
}

bool IsConstant(const TfLiteTensor& tensor, TfLiteType type) {
  return tensor.type == type && tensor.allocation_type == kTfLiteMmapRo && tensor.data.raw_const != nullptr &&
         tensor.dims != nullptr;
}

Status CheckTensor(const char* name, const TfLiteTensor& tensor, TfLiteType type, bool constant) {
  if (tensor.type != type) return Error("%s has TFLite type %d, must be %d", name, tensor.type, type);
  if (tensor.dims == nullptr) return Error("%s has no shape", name);
  if (constant && (tensor.allocation_type != kTfLiteMmapRo || tensor.data.raw_const == nullptr)) {
    return Error("%s must be a constant of the file", name);
  }
  return {};
}

}  // namespace tfprune
