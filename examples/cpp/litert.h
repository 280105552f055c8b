// SPDX-License-Identifier: Apache-2.0
// The functions of LiteRT's C interface that compiled_model.cc calls, looked up in a libLiteRt.so. Its packages bring
// no headers; with those of its sources, litert/c/*.h, none of this is needed.
#ifndef TFPRUNE_EXAMPLES_CPP_LITERT_H_
#define TFPRUNE_EXAMPLES_CPP_LITERT_H_

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tflite_ops/include/tfprune.h"

constexpr int kLiteRtStatusOk = 0, kLiteRtHwAcceleratorCpu = 1;
constexpr int kLiteRtTensorBufferLockModeRead = 0, kLiteRtTensorBufferLockModeWrite = 1;

using LiteRtHandle = void*;  // of an environment, a model, a signature, a tensor, requirements or a buffer

struct LiteRtLayout {
  uint32_t rank : 7;
  uint32_t has_strides : 1;
  int32_t dimensions[8];
  uint32_t strides[8];
};

struct LiteRtRankedTensorType {
  int32_t element_type;
  LiteRtLayout layout;
};

#define LITERT_FUNCTIONS(F)                                                                                          \
  F(CreateEnvironment, (int count, const void* options, LiteRtHandle* environment))                                  \
  F(CreateModelFromBuffer, (LiteRtHandle environment, const void* data, size_t size, LiteRtHandle* model))           \
  F(CreateOptions, (LiteRtOptions * options))                                                                        \
  F(SetOptionsHardwareAccelerators, (LiteRtOptions options, int accelerators))                                       \
  F(CreateCompiledModel,                                                                                             \
    (LiteRtHandle environment, LiteRtHandle model, LiteRtOptions options, LiteRtHandle * compiled))                  \
  F(GetModelSignature, (LiteRtHandle model, size_t index, LiteRtHandle * signature))                                 \
  F(GetNumSignatureInputs, (LiteRtHandle signature, size_t * count))                                                 \
  F(GetNumSignatureOutputs, (LiteRtHandle signature, size_t * count))                                                \
  F(GetSignatureInputTensorByIndex, (LiteRtHandle signature, size_t index, LiteRtHandle * tensor))                   \
  F(GetSignatureOutputTensorByIndex, (LiteRtHandle signature, size_t index, LiteRtHandle * tensor))                  \
  F(GetRankedTensorType, (LiteRtHandle tensor, LiteRtRankedTensorType * type))                                       \
  F(GetCompiledModelInputBufferRequirements,                                                                         \
    (LiteRtHandle compiled, size_t signature, size_t index, LiteRtHandle * requirements))                            \
  F(GetCompiledModelOutputBufferRequirements,                                                                        \
    (LiteRtHandle compiled, size_t signature, size_t index, LiteRtHandle * requirements))                            \
  F(GetCompiledModelOutputTensorLayouts,                                                                             \
    (LiteRtHandle compiled, size_t signature, size_t count, LiteRtLayout * layouts, bool update))                    \
  F(CreateManagedTensorBufferFromRequirements,                                                                       \
    (LiteRtHandle environment, const LiteRtRankedTensorType* type, LiteRtHandle requirements, LiteRtHandle* buffer)) \
  F(GetTensorBufferSize, (LiteRtHandle buffer, size_t * size))                                                       \
  F(LockTensorBuffer, (LiteRtHandle buffer, void** host, int mode))                                                  \
  F(UnlockTensorBuffer, (LiteRtHandle buffer))                                                                       \
  F(RunCompiledModel, (LiteRtHandle compiled, size_t signature, size_t input_count, const LiteRtHandle* inputs,      \
                       size_t output_count, const LiteRtHandle* outputs))

// The functions, without their prefix. What they made lives until the process ends, as in most apps.
struct LiteRt {
#define LITERT_MEMBER(name, parameters) int(*name) parameters = nullptr;
  LITERT_FUNCTIONS(LITERT_MEMBER)
#undef LITERT_MEMBER

  // Loads the library for the whole process, so that tfprune finds it. False with a sentence on an error.
  bool Load(const char* path) {
    void* library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
      fprintf(stderr, "LiteRT cannot be loaded: %s\n", dlerror());
      return false;
    }
#define LITERT_FIND(name, parameters)                                      \
  name = reinterpret_cast<decltype(name)>(dlsym(library, "LiteRt" #name)); \
  if (name == nullptr) {                                                   \
    fprintf(stderr, "LiteRT lacks LiteRt" #name "\n");                     \
    return false;                                                          \
  }
    LITERT_FUNCTIONS(LITERT_FIND)
#undef LITERT_FIND
    return true;
  }
};

#endif  // TFPRUNE_EXAMPLES_CPP_LITERT_H_
