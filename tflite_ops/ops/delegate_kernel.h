// SPDX-License-Identifier: Apache-2.0
// What every op of this library does in the same way, in a delegate or without: find the one node it stands for, let go
// of its data, register. `Data` derives from Described and has a `state`, in whose list it stands.
#ifndef TFPRUNE_OPS_DELEGATE_KERNEL_H_
#define TFPRUNE_OPS_DELEGATE_KERNEL_H_

#include "tensorflow/lite/builtin_ops.h"
#include "tensorflow/lite/core/c/common.h"
#include "tflite_ops/base/memory.h"
#include "tflite_ops/ops/process_state.h"
#include "tflite_ops/ops/shared_state.h"

namespace tfprune {

// The node that a kernel for a single op replaces; false where there are several or it cannot be had.
inline bool ReplacedNode(TfLiteContext* context, const TfLiteDelegateParams& params, TfLiteNode** node,
                         TfLiteRegistration** registration) {
  return params.nodes_to_replace->size == 1 &&
         context->GetNodeAndRegistration(context, params.nodes_to_replace->data[0], node, registration) == kTfLiteOk;
}

// The `free` of a kernel whose `init` returned a Data or null.
template <typename Data>
void FreeKernel(TfLiteContext*, void* user_data) {
  Data* data = static_cast<Data*>(user_data);
  if (data == nullptr) return;
  SharedState* state = data->state;
  state->Leave(data);
  Destroy(data);
  state->Release();
}

// The registration of a delegate kernel; functions as in TfLiteRegistration.
inline TfLiteRegistration KernelRegistration(const char* name, void* (*init)(TfLiteContext*, const char*, size_t),
                                             void (*release)(TfLiteContext*, void*),
                                             TfLiteStatus (*prepare)(TfLiteContext*, TfLiteNode*),
                                             TfLiteStatus (*invoke)(TfLiteContext*, TfLiteNode*)) {
  TfLiteRegistration registration = {};
  registration.init = init;
  registration.free = release;
  registration.prepare = prepare;
  registration.invoke = invoke;
  registration.builtin_code = kTfLiteBuiltinDelegate;
  registration.custom_name = name;
  registration.version = 1;
  return registration;
}

// As `init`, `prepare`, `free` and the registration above for an op that is registered by its name, without a delegate.
// KeepTensors(node, data) notes the node's tensors; it is asked at each preparation.
template <typename Data>
Data* NewRegistered(void (*describe)(const Described*, uint32_t, Text*)) {
  Data* data = Create<Data>();
  if (data == nullptr) return nullptr;
  data->state = EnterProcessState();
  if (data->state == nullptr) {
    Destroy(data);
    return nullptr;
  }
  data->describe = describe;
  data->state->Enter(data);
  return data;
}

template <typename Data, void (*KeepTensors)(const TfLiteNode&, Data*),
          TfLiteStatus (*Prepare)(TfLiteContext*, TfLiteNode*)>
TfLiteStatus PrepareRegistered(TfLiteContext* context, TfLiteNode* node) {
  if (node->user_data != nullptr) KeepTensors(*node, static_cast<Data*>(node->user_data));
  return Prepare(context, node);
}

template <typename Data>
void FreeRegistered(TfLiteContext*, void* user_data) {
  Data* data = static_cast<Data*>(user_data);
  if (data == nullptr) return;
  data->state->Leave(data);
  Destroy(data);
  LeaveProcessState();
}

inline TfLiteRegistration NamedRegistration(const char* name, void* (*init)(TfLiteContext*, const char*, size_t),
                                            void (*release)(TfLiteContext*, void*),
                                            TfLiteStatus (*prepare)(TfLiteContext*, TfLiteNode*),
                                            TfLiteStatus (*invoke)(TfLiteContext*, TfLiteNode*)) {
  TfLiteRegistration registration = KernelRegistration(name, init, release, prepare, invoke);
  registration.builtin_code = kTfLiteBuiltinCustom;
  return registration;
}

}  // namespace tfprune

#endif  // TFPRUNE_OPS_DELEGATE_KERNEL_H_
