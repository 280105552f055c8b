// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/opencl/loader.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "tflite_ops/gpu/opencl/drivers.h"

namespace tfprune {
namespace {

// The ICD loader of desktops, the public library of Android, then places of vendors that do not declare it public.
#if defined(__LP64__)
#define TFPRUNE_LIB "lib64"
#else
#define TFPRUNE_LIB "lib"
#endif

constexpr const char* kNames[] = {
    "libOpenCL.so.1",
    "libOpenCL.so",
    "libOpenCL-pixel.so",  // Google: a wrapper
    "/vendor/" TFPRUNE_LIB "/libOpenCL.so",
    "/system/vendor/" TFPRUNE_LIB "/libOpenCL.so",
    "/system/" TFPRUNE_LIB "/libOpenCL.so",
    "/vendor/" TFPRUNE_LIB "/egl/libGLES_mali.so",  // Arm: one library for all of the GPU's interfaces
    "/system/vendor/" TFPRUNE_LIB "/egl/libGLES_mali.so",
    "/vendor/" TFPRUNE_LIB "/libPVROCL.so",  // Imagination
};

// A loaded library. The wrapper of Pixel phones has no functions of OpenCL as symbols: it is switched on first, and
// then hands them out.
class Library {
 public:
  explicit Library(void* handle) : handle_(handle) {
    void (*enable)() = nullptr;
    Copy(dlsym(handle, "enableOpenCL"), &enable);
    Copy(dlsym(handle, "loadOpenCLPointer"), &hand_out_);
    if (enable != nullptr && hand_out_ != nullptr) enable();
  }

  template <typename Function>
  bool Find(const char* name, Function* function) const {
    Copy(hand_out_ != nullptr ? hand_out_(name) : dlsym(handle_, name), function);
    return *function != nullptr;
  }

 private:
  // Objects and functions have different kinds of pointers.
  template <typename Function>
  static void Copy(void* symbol, Function* function) {
    static_assert(sizeof(symbol) == sizeof(*function), "one address");
    memcpy(function, &symbol, sizeof(symbol));
  }

  void* handle_;
  void* (*hand_out_)(const char* name) = nullptr;
};

// Null, or the first function that the library lacks.
const char* FindAll(const Library& library, OpenCl* cl) {
#define TFPRUNE_OPENCL_FUNCTION(name) \
  if (!library.Find(#name, &cl->name)) return #name;
#include "tflite_ops/gpu/opencl/functions.inc"
#undef TFPRUNE_OPENCL_FUNCTION
  return nullptr;
}

}  // namespace

Status LoadOpenClFrom(const char* const* names, size_t count, OpenCl* cl) {
  // A library that is there but does not do is worth more words than names that do not exist.
  Status status = Error("OpenCL: no driver is installed; none of %zu libraries was found, the first is %.80s", count,
                        count > 0 ? names[0] : "missing");
  for (size_t i = 0; i < count; ++i) {
    void* const library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) continue;
    OpenCl found;
    const char* const lacks = FindAll(Library(library), &found);
    if (lacks == nullptr) {
      *cl = found;
      return {};
    }
    status = Error("OpenCL: the library %.100s has no %s, OpenCL 1.2 is needed", names[i], lacks);
    dlclose(library);
  }
  return status;
}

Status LoadOpenCl(OpenCl* cl) {
  LoadDriversApart(nullptr);
  return LoadOpenClFrom(kNames, sizeof(kNames) / sizeof(kNames[0]), cl);
}

}  // namespace tfprune
