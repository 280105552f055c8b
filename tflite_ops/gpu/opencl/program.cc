// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/opencl/program.h"

#include <string.h>

#include "tflite_ops/gpu/opencl/errors.h"

namespace tfprune {
namespace {

// The end of the first line of a compiler's log that speaks of an error, else the last line. Lines begin with paths.
const char* FirstError(char* log) {
  constexpr size_t kShown = 150;
  char* line = log;
  for (char* next = log; next != nullptr;) {
    char* const end = strchr(next, '\n');
    if (end != nullptr) *end = '\0';
    if (*next != '\0') line = next;
    if (strstr(next, "error") != nullptr) break;
    next = end == nullptr ? nullptr : end + 1;
  }
  const size_t length = strlen(line);
  return length > kShown ? line + length - kShown : line;
}

}  // namespace

Program::~Program() { Release(); }

void Program::Release() {
  if (handle_ != nullptr) context_->cl().clReleaseProgram(handle_);
  handle_ = nullptr;
}

Status Program::BuildError(cl_int code) const {
  const OpenCl& cl = context_->cl();
  size_t bytes = 0;
  AlignedArray<char> log;
  const cl_device_id device = context_->device().id;
  const bool has_log =
      cl.clGetProgramBuildInfo(handle_, device, CL_PROGRAM_BUILD_LOG, 0, nullptr, &bytes) == CL_SUCCESS &&
      log.Reserve(bytes + 1) &&
      cl.clGetProgramBuildInfo(handle_, device, CL_PROGRAM_BUILD_LOG, bytes, log.data(), nullptr) == CL_SUCCESS;
  if (!has_log) return OpenClStatus("clBuildProgram", code);
  log.data()[bytes] = '\0';
  return Error("OpenCL: clBuildProgram failed with %s: %s", OpenClErrorName(code), FirstError(log.data()));
}

Status Program::Build(const char* options) {
  const cl_device_id device = context_->device().id;
  const cl_int code = context_->cl().clBuildProgram(handle_, 1, &device, options, nullptr, nullptr);
  if (code == CL_SUCCESS) return {};
  const Status status = BuildError(code);
  Release();
  return status;
}

Status Program::Compile(const Context& context, const ProgramSource& source) {
  Release();
  context_ = &context;
  cl_int code = CL_SUCCESS;
  // OpenCL's declaration asks for pointers that may change; the texts do not.
  handle_ = context.cl().clCreateProgramWithSource(context.handle(), source.piece_count,
                                                   const_cast<const char**>(source.pieces), nullptr, &code);
  TFPRUNE_RETURN_IF_ERROR(OpenClStatus("clCreateProgramWithSource", code));
  return Build(source.options);
}

Status Program::Load(const Context& context, const void* binary, size_t bytes, const char* options) {
  Release();
  context_ = &context;
  const unsigned char* data = static_cast<const unsigned char*>(binary);
  cl_int code = CL_SUCCESS, loaded = CL_SUCCESS;
  const cl_device_id device = context.device().id;
  handle_ = context.cl().clCreateProgramWithBinary(context.handle(), 1, &device, &bytes, &data, &loaded, &code);
  TFPRUNE_RETURN_IF_ERROR(OpenClStatus("clCreateProgramWithBinary", code == CL_SUCCESS ? loaded : code));
  return Build(options);
}

Status Program::Binary(AlignedArray<char>* binary, size_t* bytes) const {
  const OpenCl& cl = context_->cl();
  TFPRUNE_RETURN_IF_ERROR(OpenClStatus(
      "clGetProgramInfo", cl.clGetProgramInfo(handle_, CL_PROGRAM_BINARY_SIZES, sizeof(*bytes), bytes, nullptr)));
  if (*bytes == 0) return Error("OpenCL: %.100s gives no binary of a program", context_->facts().name);
  if (!binary->Reserve(*bytes)) return Error("OpenCL: no memory for a program of %zu bytes", *bytes);
  char* data = binary->data();
  return OpenClStatus("clGetProgramInfo",
                      cl.clGetProgramInfo(handle_, CL_PROGRAM_BINARIES, sizeof(data), &data, nullptr));
}

}  // namespace tfprune
