// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_OPENCL_PROGRAM_H_
#define TFPRUNE_GPU_OPENCL_PROGRAM_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/gpu/opencl/context.h"

namespace tfprune {

// Source text in pieces that are read as one, and the compiler's options ("-D NAME=VALUE ...").
struct ProgramSource {
  const char* const* pieces = nullptr;
  uint32_t piece_count = 0;
  const char* options = "";
};

// Kernels that were compiled together.
class Program {
 public:
  Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  // May be called again after an error. Where the compiler fails, the error holds the first error of its log.
  Status Compile(const Context& context, const ProgramSource& source);
  // From what Binary gave. Drivers refuse what another version of them made.
  Status Load(const Context& context, const void* binary, size_t bytes, const char* options);

  // The device's code, to be kept for Load. Valid after Compile or Load.
  Status Binary(AlignedArray<char>* binary, size_t* bytes) const;

  cl_program handle() const { return handle_; }
  const Context& context() const { return *context_; }

 private:
  Status Build(const char* options);
  Status BuildError(cl_int code) const;
  void Release();

  const Context* context_ = nullptr;
  cl_program handle_ = nullptr;
};

}  // namespace tfprune

#endif  // TFPRUNE_GPU_OPENCL_PROGRAM_H_
