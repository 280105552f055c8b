// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/compiled_model/litert_api.h"

#include <dlfcn.h>

namespace tfprune {
namespace {

template <typename Function>
bool Find(void* library, const char* name, Function* function) {
  *reinterpret_cast<void**>(function) = dlsym(library, name);
  return *function != nullptr;
}

bool FindAll(void* library, LiteRtApi* api) {
  return Find(library, "LiteRtAddCustomOpKernelOption", &api->add_custom_op) &&
         Find(library, "LiteRtGetTensorBufferTensorType", &api->tensor_type) &&
         Find(library, "LiteRtGetTensorBufferSize", &api->size) &&
         Find(library, "LiteRtLockTensorBuffer", &api->lock) && Find(library, "LiteRtUnlockTensorBuffer", &api->unlock);
}

}  // namespace

Status FindLiteRt(LiteRtApi* api) {
  // Loaded under its own name, maybe without showing its symbols to others; or linked into the program.
  if (void* library = dlopen("libLiteRt.so", RTLD_NOW | RTLD_NOLOAD); library != nullptr) {
    const bool found = FindAll(library, api);
    dlclose(library);  // the program keeps it
    return found ? Status{} : Error("this libLiteRt.so has no custom ops; use LiteRT 2.1 or later");
  }
  if (FindAll(RTLD_DEFAULT, api)) return {};
  return Error("libLiteRt.so must be loaded before tfprune's ops are added to its options");
}

}  // namespace tfprune
