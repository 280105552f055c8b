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

#endif  // TFPRUNE_DELEGATE_DELEGATE_H_
