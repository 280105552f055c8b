// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/opencl/context.h"

#include "tflite_ops/gpu/opencl/errors.h"

namespace tfprune {

Context::~Context() {
  if (handle_ != nullptr) cl_->clReleaseContext(handle_);
}

Status Context::Create(const OpenCl& cl, const Device& device) {
  const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                              reinterpret_cast<cl_context_properties>(device.platform), 0};
  cl_int code = CL_SUCCESS;
  handle_ = cl.clCreateContext(properties, 1, &device.id, nullptr, nullptr, &code);
  cl_ = &cl;
  device_ = device;
  return OpenClStatus("clCreateContext", code);
}

}  // namespace tfprune
