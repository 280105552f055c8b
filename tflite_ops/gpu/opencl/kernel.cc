// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/opencl/kernel.h"

#include "tflite_ops/gpu/opencl/errors.h"

namespace tfprune {

GpuKernel::~GpuKernel() {
  if (handle_ != nullptr) context_->cl().clReleaseKernel(handle_);
}

Status GpuKernel::Create(const Program& program, const char* name) {
  cl_int code = CL_SUCCESS;
  context_ = &program.context();
  handle_ = context_->cl().clCreateKernel(program.handle(), name, &code);
  if (code == CL_SUCCESS) return {};
  return Error("OpenCL: no kernel %.60s, clCreateKernel failed with %s (%d)", name, OpenClErrorName(code),
               static_cast<int>(code));
}

Status GpuKernel::Set(uint32_t index, size_t bytes, const void* value) {
  const cl_int code = context_->cl().clSetKernelArg(handle_, index, bytes, value);
  if (code == CL_SUCCESS) return {};
  return Error("OpenCL: argument %u of a kernel was refused, clSetKernelArg failed with %s (%d)", index,
               OpenClErrorName(code), static_cast<int>(code));
}

Status GpuKernel::SetBuffer(uint32_t index, const Buffer& buffer) {
  const cl_mem memory = buffer.handle();
  return Set(index, sizeof(memory), &memory);
}

Status GpuKernel::SetInts(uint32_t index, const int32_t* values, uint32_t count) {
  return Set(index, count * sizeof(*values), values);
}

Status GpuKernel::SetFloats(uint32_t index, const float* values, uint32_t count) {
  return Set(index, count * sizeof(*values), values);
}

Status GpuKernel::SetLocal(uint32_t index, size_t bytes) { return Set(index, bytes, nullptr); }

Status GpuKernel::MaxWorkGroupItems(uint32_t* items) const {
  size_t most = 0;
  TFPRUNE_RETURN_IF_ERROR(
      OpenClStatus("clGetKernelWorkGroupInfo",
                   context_->cl().clGetKernelWorkGroupInfo(handle_, context_->device().id, CL_KERNEL_WORK_GROUP_SIZE,
                                                           sizeof(most), &most, nullptr)));
  *items = static_cast<uint32_t>(most);
  return {};
}

}  // namespace tfprune
