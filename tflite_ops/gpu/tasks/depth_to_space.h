// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_TASKS_DEPTH_TO_SPACE_H_
#define TFPRUNE_GPU_TASKS_DEPTH_TO_SPACE_H_

#include "tflite_ops/base/status.h"
#include "tflite_ops/gpu/opencl/device.h"
#include "tflite_ops/gpu/tasks/task.h"

namespace tfprune {

// With `to_space`, channel (i * block + j) * C + c of an input with block * block * C channels becomes channel c of
// pixel (i, j) of a block of pixels of the output; else back. Tensors of its task: input, output.
struct DepthToSpaceSpec {
  static constexpr uint32_t kMostBlock = 1 << 14;  // room to multiply two of them

  ImageShape in;
  uint32_t block = 1;  // 1 .. kMostBlock
  bool to_space = true;

  // Sizes must be multiples; see MakeDepthToSpace.
  ImageShape out() const;
};

Status MakeDepthToSpace(const DeviceFacts& facts, Storage storage, const DepthToSpaceSpec& spec, Task* task);

}  // namespace tfprune

#endif  // TFPRUNE_GPU_TASKS_DEPTH_TO_SPACE_H_
