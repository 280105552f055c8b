// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_OPENCL_CONTEXT_H_
#define TFPRUNE_GPU_OPENCL_CONTEXT_H_

#include "tflite_ops/base/status.h"
#include "tflite_ops/gpu/opencl/device.h"
#include "tflite_ops/gpu/opencl/loader.h"

namespace tfprune {

// What buffers, programs and queues of one device belong to. It must outlive them.
class Context {
 public:
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  // Call once. `cl` must outlive the context.
  Status Create(const OpenCl& cl, const Device& device);

  const OpenCl& cl() const { return *cl_; }
  const Device& device() const { return device_; }
  const DeviceFacts& facts() const { return device_.facts; }
  cl_context handle() const { return handle_; }

 private:
  const OpenCl* cl_ = nullptr;
  Device device_;
  cl_context handle_ = nullptr;
};

}  // namespace tfprune

#endif  // TFPRUNE_GPU_OPENCL_CONTEXT_H_
