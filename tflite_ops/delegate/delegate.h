// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_DELEGATE_DELEGATE_H_
#define TFPRUNE_DELEGATE_DELEGATE_H_

#include <stddef.h>

#include "tensorflow/lite/core/c/common.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/include/tfprune.h"

namespace tfprune {

// A delegate with the options `keys[i]` = `values[i]` (options.h), for tflite_plugin_destroy_delegate to end. Null on
// an error, which `status` then holds in plain text.
TfLiteDelegate* NewDelegate(const char* const* keys, const char* const* values, size_t count, Status* status);

}  // namespace tfprune

extern "C" {

// Each writes its text as snprintf does: at most `size` bytes with the closing zero, and returns the length of the
// whole text. Without a delegate that is empty.
size_t tfprune_describe(TfLiteDelegate* delegate, char* buffer, size_t size);   // the layers (ops/description.h)
size_t tfprune_placement(TfLiteDelegate* delegate, char* buffer, size_t size);  // where nodes run (ops/placement.h)

}  // extern "C"

#endif  // TFPRUNE_DELEGATE_DELEGATE_H_
