// SPDX-License-Identifier: Apache-2.0
// OpenCL is found when it is asked for: nothing is linked, and a machine without a driver only gets a Status.
#ifndef TFPRUNE_GPU_OPENCL_LOADER_H_
#define TFPRUNE_GPU_OPENCL_LOADER_H_

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stddef.h>

#include "tflite_ops/base/status.h"

namespace tfprune {

// The functions of one OpenCL library. Tests put functions of their own in to see what a failing driver does.
struct OpenCl {
#define TFPRUNE_OPENCL_FUNCTION(name) decltype(&::name) name = nullptr;
#include "tflite_ops/gpu/opencl/functions.inc"
#undef TFPRUNE_OPENCL_FUNCTION
};

// Loads the first of the machine's OpenCL libraries that has every function. It stays loaded as long as the process:
// drivers keep threads and do not survive being unloaded. On an error `cl` is unchanged.
Status LoadOpenCl(OpenCl* cl);

// The same for given file names.
Status LoadOpenClFrom(const char* const* names, size_t count, OpenCl* cl);

}  // namespace tfprune

#endif  // TFPRUNE_GPU_OPENCL_LOADER_H_
