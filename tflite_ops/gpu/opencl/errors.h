// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_OPENCL_ERRORS_H_
#define TFPRUNE_GPU_OPENCL_ERRORS_H_

#include "tflite_ops/base/status.h"
#include "tflite_ops/gpu/opencl/loader.h"

namespace tfprune {

// OpenCL's own name of a return code, such as "CL_OUT_OF_RESOURCES", or "an unknown error".
const char* OpenClErrorName(cl_int code);

// Success for CL_SUCCESS, else an error that names the function and the code.
Status OpenClStatus(const char* function, cl_int code);

}  // namespace tfprune

#endif  // TFPRUNE_GPU_OPENCL_ERRORS_H_
