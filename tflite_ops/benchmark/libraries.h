// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BENCHMARK_LIBRARIES_H_
#define TFPRUNE_BENCHMARK_LIBRARIES_H_

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tensorflow/lite/core/c/common.h"
#include "tflite_ops/base/status.h"

struct TfLiteInterpreter;
struct TfLiteInterpreterOptions;
struct TfLiteModel;

namespace tfprune {

// LiteRT, loaded at run time. Libraries stay loaded until the program ends.
struct Runtime {
#define LITERT_FUNCTION(result, name, arguments) result(*name) arguments = nullptr;
#include "tflite_ops/benchmark/functions.inc"
#undef LITERT_FUNCTION

  // XNNPACK's delegate, whose header comes with no package: null where it is not wanted.
  TfLiteDelegate* (*CreateXnnpack)(const void* options) = nullptr;
  void (*DeleteXnnpack)(TfLiteDelegate*) = nullptr;
  // Larger than any version's options, which begin with the number of threads. Only newer versions export a function
  // that fills them in; it writes as many bytes as it knows.
  struct XnnpackOptions {
    int threads;
    unsigned flags;
    char more[248];
  };
  XnnpackOptions (*DefaultXnnpackOptions)() = nullptr;

  // Loads the library and finds the functions; `xnnpack` is whether XNNPACK's delegate is among them.
  Status Load(const char* path, bool xnnpack);

  // XNNPACK's delegate for so many threads, or null.
  TfLiteDelegate* NewXnnpack(int threads) const;
};

// libtfprune, loaded at run time.
struct DelegateLibrary {
  TfLiteDelegate* (*Create)(const char* const* keys, const char* const* values, size_t count,
                            void (*report_error)(const char*)) = nullptr;
  void (*Destroy)(TfLiteDelegate*) = nullptr;
  const char* (*Version)() = nullptr;
  const char* (*DetectedArch)() = nullptr;
  const char* (*LastKernel)() = nullptr;

  Status Load(const char* path);

  // A delegate with these options, or its reason for refusing them.
  Status New(const char* const* keys, const char* const* values, size_t count, TfLiteDelegate** delegate) const;
};

}  // namespace tfprune

#endif  // TFPRUNE_BENCHMARK_LIBRARIES_H_
