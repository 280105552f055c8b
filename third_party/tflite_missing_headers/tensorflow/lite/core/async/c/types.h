// SPDX-License-Identifier: Apache-2.0
// The one type that TFLite's C headers want from a header that its Android package does not have.
#ifndef TENSORFLOW_LITE_CORE_ASYNC_C_TYPES_H_
#define TENSORFLOW_LITE_CORE_ASYNC_C_TYPES_H_

typedef struct TfLiteAsyncKernel TfLiteAsyncKernel;

#endif  // TENSORFLOW_LITE_CORE_ASYNC_C_TYPES_H_
