// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/compiled_model/one_node.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tflite_ops/formats/packed_weights.h"
#include "tflite_ops/ops/sparse_op.h"

namespace tfprune {
namespace {

constexpr int kPacked = 1;

}  // namespace

OneNode::~OneNode() {
  if (kernel_node_.user_data != nullptr) kernel_.free(&context_, kernel_node_.user_data);
}

void OneNode::Init(const char* name, SharedState* state) {
  context_.impl_ = this;
  context_.tensors = tensors_;
  context_.tensors_size = kMostNodeInputs + 1;
  context_.GetNodeAndRegistration = FindNode;
  context_.ResizeTensor = Resize;
  context_.ReportError = Report;
  delegate_.data_ = state;
  replaced_.custom_name = name;
  replaced_.version = kSparseOpVersion;
  kernel_ = SparseOpRegistration();
}

Status OneNode::Prepare(const TensorView* inputs, int count, int threads) {
  context_.recommended_num_threads = threads;
  inputs_.size = count;
  for (int i = 0; i < count; ++i) {
    inputs_.data[i] = i;
    SetTensor(i, inputs[i], i == 0 ? kTfLiteArenaRw : kTfLiteMmapRo);
  }
  outputs_ = {1, {count}};
  tensors_[count].type = inputs[0].type;
  tensors_[count].allocation_type = kTfLiteArenaRw;
  tensors_[count].dims = List(&dims_[count]);
  TFPRUNE_RETURN_IF_ERROR(SetQuantization(inputs[kPacked], count));
  for (TfLiteNode* node : {&replaced_node_, &kernel_node_}) {
    node->inputs = List(&inputs_);
    node->outputs = List(&outputs_);
  }
  Numbers only = {1, {0}};
  TfLiteDelegateParams params = {};
  params.delegate = &delegate_;
  params.nodes_to_replace = List(&only);
  params.input_tensors = List(&inputs_);
  params.output_tensors = List(&outputs_);
  kernel_node_.user_data = kernel_.init(&context_, reinterpret_cast<const char*>(&params), 0);
  return Outcome(kernel_.prepare(&context_, &kernel_node_));
}

Status OneNode::Run(const TensorView* inputs, int count, const TensorView& output) {
  for (int i = 0; i < count; ++i) {
    tensors_[i].data.raw = static_cast<char*>(inputs[i].data);
    tensors_[i].bytes = inputs[i].bytes;
  }
  TfLiteTensor& y = tensors_[count];
  bool same = output.type == y.type && output.rank == y.dims->size;
  for (int i = 0; same && i < output.rank; ++i) same = output.dims[i] == y.dims->data[i];
  if (!same) return Error("the output has another shape or type than the op makes");
  y.data.raw = static_cast<char*>(output.data);
  y.bytes = output.bytes;
  return Outcome(kernel_.invoke(&context_, &kernel_node_));
}

void OneNode::SetTensor(int index, const TensorView& view, TfLiteAllocationType allocation) {
  dims_[index].size = view.rank;
  for (int i = 0; i < view.rank; ++i) dims_[index].data[i] = view.dims[i];
  TfLiteTensor& tensor = tensors_[index];
  tensor.type = view.type;
  tensor.dims = List(&dims_[index]);
  tensor.data.raw = static_cast<char*>(view.data);
  tensor.bytes = view.bytes;
  tensor.allocation_type = allocation;
}

// This runtime hands over no scales; those of the packed weights count.
Status OneNode::SetQuantization(const TensorView& packed, int output) {
  PackedWeights weights;
  TFPRUNE_RETURN_IF_ERROR(ReadPackedWeights(packed.data, packed.bytes, &weights));
  if (weights.activation_type == ActivationType::kFloat32) return {};
  tensors_[0].params = {weights.input_scale, weights.input_zero_point};
  tensors_[output].params = {weights.output_scale, weights.output_zero_point};
  return {};
}

Status OneNode::Outcome(TfLiteStatus status) const {
  if (status == kTfLiteOk) return {};
  return error_.ok() ? Error("%s failed", replaced_.custom_name) : error_;
}

TfLiteStatus OneNode::FindNode(TfLiteContext* context, int, TfLiteNode** node, TfLiteRegistration** registration) {
  *node = &Self(context)->replaced_node_;
  *registration = &Self(context)->replaced_;
  return kTfLiteOk;
}

TfLiteStatus OneNode::Resize(TfLiteContext*, TfLiteTensor* tensor, TfLiteIntArray* dims) {
  const bool fits = dims->size <= kMostNodeRank;
  if (fits) tensor->dims->size = dims->size;
  for (int i = 0; fits && i < dims->size; ++i) tensor->dims->data[i] = dims->data[i];
  free(dims);
  return fits ? kTfLiteOk : kTfLiteError;
}

void OneNode::Report(TfLiteContext* context, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(Self(context)->error_.message, sizeof(Status::message), format, arguments);
  va_end(arguments);
}

}  // namespace tfprune
