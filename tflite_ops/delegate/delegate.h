// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_DELEGATE_DELEGATE_H_
#define TFPRUNE_DELEGATE_DELEGATE_H_

#include <stddef.h>

#include "tensorflow/lite/core/c/common.h"
#include "tflite_ops/base/status.h"

namespace tfprune {

// A delegate with the options `keys[i]` = `values[i]` (options.h), for tflite_plugin_destroy_delegate to end. Null on
// an error, which `status` then holds in plain text.
TfLiteDelegate* NewDelegate(const char* const* keys, const char* const* values, size_t count, Status* status);

}  // namespace tfprune

extern "C" {

TfLiteDelegate* tflite_plugin_create_delegate(const char* const* keys, const char* const* values, size_t count,
                                              void (*report_error)(const char*));
void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate);

// Each writes its text as snprintf does: at most `size` bytes with the closing zero, and returns the length of the
// whole text. Without a delegate that is empty.
size_t tfprune_describe(TfLiteDelegate* delegate, char* buffer, size_t size);   // the layers (ops/description.h)
size_t tfprune_placement(TfLiteDelegate* delegate, char* buffer, size_t size);  // where nodes run (ops/placement.h)

const char* tfprune_version(void);
const char* tfprune_detected_arch(void);
const char* tfprune_last_kernel(void);

}  // extern "C"

#endif  // TFPRUNE_DELEGATE_DELEGATE_H_
