// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_TASKS_DEPTHWISE_H_
#define TFPRUNE_GPU_TASKS_DEPTHWISE_H_

#include "tflite_ops/base/status.h"
#include "tflite_ops/gpu/opencl/device.h"
#include "tflite_ops/gpu/tasks/task.h"
#include "tflite_ops/gpu/tasks/window.h"

namespace tfprune {

// Output channel c reads input channel c / (out.channels / in.channels). Tensors of its task: input, output.
struct DepthwiseSpec {
  ImageShape in, out;
  Window window;
  const float* bias = nullptr;  // [out.channels], or null for zeros
  Bounds bounds;
};

// Weights are TFLite's [kernel_h, kernel_w, out.channels].
Status MakeDepthwise(const DeviceFacts& facts, Storage storage, const DepthwiseSpec& spec, const float* weights,
                     Task* task);

}  // namespace tfprune

#endif  // TFPRUNE_GPU_TASKS_DEPTHWISE_H_
