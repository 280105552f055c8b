// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_OPENCL_BUFFER_H_
#define TFPRUNE_GPU_OPENCL_BUFFER_H_

#include <stddef.h>

#include "tflite_ops/base/status.h"
#include "tflite_ops/gpu/opencl/context.h"

namespace tfprune {

// Memory of the device.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  // Each is called once, with at least one byte. An error names the bytes that were wanted, and the device's limit
  // where that is the cause.
  Status Create(const Context& context, size_t bytes);
  // Read-only for kernels, holds a copy of `data`.
  Status CreateConstant(const Context& context, const void* data, size_t bytes);
  // Bytes [offset, offset + bytes) of `whole`, which must outlive this. `offset` is a multiple of the device's
  // buffer_alignment_bytes.
  Status CreatePart(const Buffer& whole, size_t offset, size_t bytes);

  cl_mem handle() const { return handle_; }
  size_t bytes() const { return bytes_; }

 private:
  Status Allocate(const Context& context, cl_mem_flags flags, const void* data, size_t bytes);

  const Context* context_ = nullptr;
  cl_mem handle_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace tfprune

#endif  // TFPRUNE_GPU_OPENCL_BUFFER_H_
