// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_TASKS_LAYOUT_H_
#define TFPRUNE_GPU_TASKS_LAYOUT_H_

#include "tflite_ops/base/status.h"
#include "tflite_ops/gpu/opencl/device.h"
#include "tflite_ops/gpu/tasks/task.h"

namespace tfprune {

// Tensors of both tasks: from, to. The NHWC one is float32 and has shape.values() values.
Status MakeFromNhwc(const DeviceFacts& facts, Storage storage, const ImageShape& shape, Task* task);
Status MakeToNhwc(const DeviceFacts& facts, Storage storage, const ImageShape& shape, Task* task);

}  // namespace tfprune

#endif  // TFPRUNE_GPU_TASKS_LAYOUT_H_
