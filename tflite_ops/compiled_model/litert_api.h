// SPDX-License-Identifier: Apache-2.0
// What of LiteRT's C API (libLiteRt.so) the custom ops of a CompiledModel touch. The library is not linked: functions
// are looked up in the process that has loaded it.
#ifndef TFPRUNE_COMPILED_MODEL_LITERT_API_H_
#define TFPRUNE_COMPILED_MODEL_LITERT_API_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/status.h"

namespace tfprune {

constexpr int kLiteRtOk = 0, kLiteRtInvalidArgument = 1, kLiteRtRuntimeFailure = 3;
constexpr int kLiteRtLockRead = 0, kLiteRtLockWrite = 1;
constexpr int kLiteRtMostRank = 8;

// LiteRtLayout. The second bit field says whether `strides` count; ops of files never have any.
struct LiteRtLayout {
  uint32_t rank : 7;
  uint32_t has_strides : 1;
  int32_t dimensions[kLiteRtMostRank];
  uint32_t strides[kLiteRtMostRank];
};
static_assert(sizeof(LiteRtLayout) == 68, "the layout of LiteRT 2");

// LiteRtRankedTensorType; element types are numbered as TfLiteType.
struct LiteRtTensorType {
  int32_t element_type;
  LiteRtLayout layout;
};

using LiteRtTensorBuffer = void*;

// LiteRtCustomOpKernel; every function returns a LiteRtStatus.
struct LiteRtCustomOpKernel {
  int (*init)(void* user_data, const void* options, size_t size);
  int (*get_output_layouts)(void* user_data, size_t input_count, const LiteRtLayout* inputs, size_t output_count,
                            LiteRtLayout* outputs);
  int (*run)(void* user_data, size_t input_count, const LiteRtTensorBuffer* inputs, size_t output_count,
             LiteRtTensorBuffer* outputs);
  int (*destroy)(void* user_data);
};

struct LiteRtApi {
  int (*add_custom_op)(void* options, const char* name, int version, const LiteRtCustomOpKernel* kernel,
                       void* user_data) = nullptr;
  int (*tensor_type)(LiteRtTensorBuffer buffer, LiteRtTensorType* type) = nullptr;
  int (*size)(LiteRtTensorBuffer buffer, size_t* size) = nullptr;
  int (*lock)(LiteRtTensorBuffer buffer, void** host, int mode) = nullptr;
  int (*unlock)(LiteRtTensorBuffer buffer) = nullptr;
};

// Finds the functions in the process; fails where libLiteRt.so is not loaded or is one without custom ops.
Status FindLiteRt(LiteRtApi* api);

}  // namespace tfprune

#endif  // TFPRUNE_COMPILED_MODEL_LITERT_API_H_
