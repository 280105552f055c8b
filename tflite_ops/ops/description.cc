// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/description.h"

#include <stdarg.h>
#include <stdio.h>

namespace tfprune {

void Text::Add(const char* format, ...) {
  const size_t used = length_ < size_ ? length_ : size_;
  va_list arguments;
  va_start(arguments, format);
  const int added = vsnprintf(used < size_ ? buffer_ + used : nullptr, size_ - used, format, arguments);
  va_end(arguments);
  if (added > 0) length_ += static_cast<size_t>(added);
}

}  // namespace tfprune
