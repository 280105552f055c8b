// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_TASKS_BINARY_H_
#define TFPRUNE_GPU_TASKS_BINARY_H_

#include "tflite_ops/base/status.h"
#include "tflite_ops/gpu/opencl/device.h"
#include "tflite_ops/gpu/tasks/task.h"
#include "tflite_ops/gpu/tasks/window.h"

namespace tfprune {

// The numbers are binary.cl's.
enum class Operation : uint8_t {
  kAdd = 0,
  kSubtract = 1,      // a - b
  kSubtractFrom = 2,  // b - a
  kMultiply = 3,
  kMaximum = 4,
  kMinimum = 5,
  kDivide = 6,     // a / b
  kDivideInto = 7  // b / a
};

// Element by element, a's shape being the output's. `b` has a's channels or one, and in each of batch, height and width
// either a's size or, in height and width together, one: a tensor, one value an image and channel, one a channel, one
// for all. Tensors of its task: a, b, output.
struct BinarySpec {
  Operation operation = Operation::kAdd;
  ImageShape a, b;
  Bounds bounds;
};

Status MakeBinary(const DeviceFacts& facts, Storage storage, const BinarySpec& spec, Task* task);

// The same with a constant in the place of `b`: NHWC values of b's shape. Tensors of its task: a, output.
Status MakeBinaryConstant(const DeviceFacts& facts, Storage storage, const BinarySpec& spec, const float* values,
                          Task* task);

}  // namespace tfprune

#endif  // TFPRUNE_GPU_TASKS_BINARY_H_
