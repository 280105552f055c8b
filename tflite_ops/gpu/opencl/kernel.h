// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_OPENCL_KERNEL_H_
#define TFPRUNE_GPU_OPENCL_KERNEL_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/status.h"
#include "tflite_ops/gpu/opencl/buffer.h"
#include "tflite_ops/gpu/opencl/program.h"

namespace tfprune {

// One function of a program with its arguments. Its program must outlive it.
class GpuKernel {
 public:
  GpuKernel() = default;
  GpuKernel(const GpuKernel&) = delete;
  GpuKernel& operator=(const GpuKernel&) = delete;
  ~GpuKernel();

  // Call once.
  Status Create(const Program& program, const char* name);

  Status SetBuffer(uint32_t index, const Buffer& buffer);
  // A scalar or vector of `count` values: int or float, int2 and so on; 1, 2 or 4.
  Status SetInts(uint32_t index, const int32_t* values, uint32_t count);
  Status SetFloats(uint32_t index, const float* values, uint32_t count);
  // `bytes` of the work-group's own memory.
  Status SetLocal(uint32_t index, size_t bytes);

  // The most work-items of a work-group, which may be fewer than the device's where the kernel takes many registers.
  Status MaxWorkGroupItems(uint32_t* items) const;

  cl_kernel handle() const { return handle_; }

 private:
  Status Set(uint32_t index, size_t bytes, const void* value);

  const Context* context_ = nullptr;
  cl_kernel handle_ = nullptr;
};

}  // namespace tfprune

#endif  // TFPRUNE_GPU_OPENCL_KERNEL_H_
