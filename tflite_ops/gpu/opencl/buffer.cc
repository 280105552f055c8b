// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/opencl/buffer.h"

#include "tflite_ops/gpu/opencl/errors.h"

namespace tfprune {

Buffer::~Buffer() {
  if (handle_ != nullptr) context_->cl().clReleaseMemObject(handle_);
}

Status Buffer::Allocate(const Context& context, cl_mem_flags flags, const void* data, size_t bytes) {
  const uint64_t most = context.facts().max_allocation_bytes;
  if (bytes > most) {
    return Error("OpenCL: a buffer of %zu bytes is larger than the %llu that %.80s gives at once", bytes,
                 static_cast<unsigned long long>(most), context.facts().name);
  }
  cl_int code = CL_SUCCESS;
  // OpenCL takes no pointer to constants, and only reads them.
  handle_ = context.cl().clCreateBuffer(context.handle(), flags, bytes, const_cast<void*>(data), &code);
  context_ = &context;
  bytes_ = bytes;
  if (code == CL_SUCCESS) return {};
  return Error("OpenCL: no buffer of %zu bytes, clCreateBuffer failed with %s (%d)", bytes, OpenClErrorName(code),
               static_cast<int>(code));
}

Status Buffer::Create(const Context& context, size_t bytes) {
  return Allocate(context, CL_MEM_READ_WRITE, nullptr, bytes);
}

Status Buffer::CreateConstant(const Context& context, const void* data, size_t bytes) {
  return Allocate(context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, data, bytes);
}

Status Buffer::CreatePart(const Buffer& whole, size_t offset, size_t bytes) {
  const cl_buffer_region region = {offset, bytes};
  cl_int code = CL_SUCCESS;
  handle_ = whole.context_->cl().clCreateSubBuffer(whole.handle_, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION,
                                                   &region, &code);
  context_ = whole.context_;
  bytes_ = bytes;
  return OpenClStatus("clCreateSubBuffer", code);
}

}  // namespace tfprune
