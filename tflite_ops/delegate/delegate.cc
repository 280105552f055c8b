// SPDX-License-Identifier: Apache-2.0
// The external delegate: claims tfprune's custom ops, one delegate kernel each, and leaves the rest to the interpreter.
#include "tensorflow/lite/core/c/common.h"
#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/version.h"
#include "tflite_ops/delegate/options.h"
#include "tflite_ops/ops/shared_state.h"
#include "tflite_ops/ops/sparse_op.h"

namespace tfprune {
namespace {

// Replaces one node. One at a time, so that every op keeps its own input and output tensors in the interpreter's arena.
TfLiteStatus ClaimNode(TfLiteContext* context, TfLiteDelegate* delegate, int node_index) {
  struct {
    int size;
    int data[1];
  } nodes = {1, {node_index}};
  return context->ReplaceNodeSubsetsWithDelegateKernels(context, SparseOpRegistration(),
                                                        reinterpret_cast<TfLiteIntArray*>(&nodes), delegate);
}

TfLiteStatus PrepareDelegate(TfLiteContext* context, TfLiteDelegate* delegate) {
  TfLiteIntArray* plan = nullptr;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) return kTfLiteError;
  // Claiming changes the plan: find the ops first.
  AlignedArray<int> claimed;
  if (!claimed.Reserve(static_cast<size_t>(plan->size) + 1)) return kTfLiteError;
  int count = 0;
  for (int i = 0; i < plan->size; ++i) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &registration) != kTfLiteOk) return kTfLiteError;
    if (IsTfpruneOp(registration->custom_name)) claimed[count++] = plan->data[i];
  }
  for (int i = 0; i < count; ++i) {
    const TfLiteStatus status = ClaimNode(context, delegate, claimed[i]);
    if (status != kTfLiteOk) return status;
  }
  return kTfLiteOk;
}

}  // namespace
}  // namespace tfprune

extern "C" {

__attribute__((visibility("default"))) TfLiteDelegate* tflite_plugin_create_delegate(
    const char* const* keys, const char* const* values, size_t count, void (*report_error)(const char*)) {
  tfprune::Options options;
  const tfprune::Status status = tfprune::ParseOptions(keys, values, count, &options);
  if (!status.ok()) {
    if (report_error != nullptr) report_error(status.message);
    return nullptr;
  }
  TfLiteDelegate* delegate = tfprune::Create<TfLiteDelegate>();
  tfprune::SharedState* state = tfprune::SharedState::New(options.arch);
  if (delegate == nullptr || state == nullptr) {
    tfprune::Destroy(delegate);
    tfprune::Destroy(state);
    if (report_error != nullptr) report_error("tfprune delegate: no memory");
    return nullptr;
  }
  *delegate = {};
  delegate->data_ = state;
  delegate->Prepare = tfprune::PrepareDelegate;
  // Without this flag the interpreter prepares every op before it delegates, and stops at the custom ops.
  delegate->flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  return delegate;
}

__attribute__((visibility("default"))) void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) {
  if (delegate == nullptr) return;
  static_cast<tfprune::SharedState*>(delegate->data_)->Release();
  tfprune::Destroy(delegate);
}

__attribute__((visibility("default"))) const char* tfprune_version(void) { return TFPRUNE_VERSION; }

__attribute__((visibility("default"))) const char* tfprune_detected_arch(void) {
  return tfprune::ArchName(tfprune::DetectedArch());
}

__attribute__((visibility("default"))) const char* tfprune_last_kernel(void) { return tfprune::LastKernelName(); }

}  // extern "C"
