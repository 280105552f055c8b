// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/benchmark/libraries.h"

#include <dlfcn.h>
#include <string.h>

namespace tfprune {
namespace {

// TFLITE_XNNPACK_DELEGATE_FLAG_QS8 and ..._QU8, the runtime's own default.
constexpr unsigned kQuantized = 3;

Status Open(const char* what, const char* path, void** library) {
  *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (*library != nullptr) return {};
  const char* reason = dlerror();
  return Error("%s cannot be loaded: %.190s", what, reason == nullptr ? path : reason);
}

// The delegate's interface has no place for the receiver of its message.
Status last_refusal;

void KeepRefusal(const char* message) { last_refusal = Error("%s", message); }

template <typename Function>
Status Find(void* library, const char* path, const char* name, Function* function) {
  void* const found = dlsym(library, name);
  if (found == nullptr) return Error("%.150s has no function %s; give another library", path, name);
  memcpy(function, &found, sizeof(found));
  return {};
}

}  // namespace

Status Runtime::Load(const char* path, bool xnnpack) {
  void* library = nullptr;
  TFPRUNE_RETURN_IF_ERROR(Open("the runtime", path, &library));
#define LITERT_FUNCTION(result, name, arguments) TFPRUNE_RETURN_IF_ERROR(Find(library, path, "TfLite" #name, &name));
#include "tflite_ops/benchmark/functions.inc"
#undef LITERT_FUNCTION
  if (!xnnpack) return {};
  TFPRUNE_RETURN_IF_ERROR(Find(library, path, "TfLiteXNNPackDelegateCreate", &CreateXnnpack));
  TFPRUNE_RETURN_IF_ERROR(Find(library, path, "TfLiteXNNPackDelegateDelete", &DeleteXnnpack));
  if (!Find(library, path, "TfLiteXNNPackDelegateOptionsDefault", &DefaultXnnpackOptions).ok()) {
    DefaultXnnpackOptions = nullptr;
  }
  return {};
}

TfLiteDelegate* Runtime::NewXnnpack(int threads) const {
  if (threads == 1) return CreateXnnpack(nullptr);
  // Versions without the function for defaults have the flags behind the threads.
  XnnpackOptions options = {threads, kQuantized, {0}};
  if (DefaultXnnpackOptions != nullptr) options = DefaultXnnpackOptions();
  options.threads = threads;
  return CreateXnnpack(&options);
}

Status DelegateLibrary::Load(const char* path) {
  void* library = nullptr;
  TFPRUNE_RETURN_IF_ERROR(Open("the delegate", path, &library));
  TFPRUNE_RETURN_IF_ERROR(Find(library, path, "tflite_plugin_create_delegate", &Create));
  TFPRUNE_RETURN_IF_ERROR(Find(library, path, "tflite_plugin_destroy_delegate", &Destroy));
  TFPRUNE_RETURN_IF_ERROR(Find(library, path, "tfprune_version", &Version));
  TFPRUNE_RETURN_IF_ERROR(Find(library, path, "tfprune_detected_arch", &DetectedArch));
  return Find(library, path, "tfprune_last_kernel", &LastKernel);
}

Status DelegateLibrary::New(const char* const* keys, const char* const* values, size_t count,
                            TfLiteDelegate** delegate) const {
  last_refusal = {};
  *delegate = Create(keys, values, count, KeepRefusal);
  if (*delegate != nullptr) return {};
  return last_refusal.ok() ? Error("the delegate refuses without a reason") : last_refusal;
}

}  // namespace tfprune
