// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/tasks/planes.h"

#include "tflite_ops/base/memory.h"

namespace tfprune {

Status CheckImage(const char* task, const ImageShape& shape) {
  constexpr size_t kMost = (size_t{1} << 31) - 1;
  if (shape.batch == 0 || shape.height == 0 || shape.width == 0 || shape.channels == 0) {
    return Error("gpu %s: the tensor [%u, %u, %u, %u] is empty", task, shape.batch, shape.height, shape.width,
                 shape.channels);
  }
  // Filling adds less than a block to each plane.
  size_t values = 0;
  const bool fits = CheckedMultiply(shape.height, shape.width, &values) && values <= kMost - kBlock &&
                    CheckedMultiply(values + kBlock, shape.channels, &values) && values <= kMost - kBlock &&
                    CheckedMultiply(values + kBlock, shape.batch, &values) && values <= kMost;
  if (fits) return {};
  return Error("gpu %s: the tensor [%u, %u, %u, %u] has 2^31 values or more, with the filling of its planes", task,
               shape.batch, shape.height, shape.width, shape.channels);
}

}  // namespace tfprune
