// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BENCHMARK_MODEL_H_
#define TFPRUNE_BENCHMARK_MODEL_H_

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/benchmark/arguments.h"
#include "tflite_ops/benchmark/libraries.h"

namespace tfprune {

// A `.tflite` file in an interpreter of its own. The steps are called in this order, each once but Invoke.
class Model {
 public:
  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  ~Model();

  // The file's bytes.
  Status Read(const char* path);

  // The delegates: libtfprune's where the file has its ops or `arguments` want it for every model, then XNNPACK's.
  Status AddDelegates(const Runtime& runtime, const DelegateLibrary& library, const Arguments& arguments);

  // The interpreter with seeded inputs, after its first inference.
  Status Start(const Arguments& arguments);

  Status Invoke();

  // Stores the largest relative error over all outputs of the last inference, against another model's.
  Status Compare(const Model& expected, double* error) const;

  const char* path() const { return path_; }
  bool delegated() const { return delegate_ != nullptr; }

 private:
  static void Report(void* self, const char* format, va_list arguments);
  Status Refused(const char* action) const;
  Status FillInputs(uint64_t seed);

  const char* path_ = nullptr;
  AlignedArray<uint8_t> content_;
  size_t size_ = 0;
  const Runtime* runtime_ = nullptr;
  const DelegateLibrary* library_ = nullptr;
  TfLiteModel* model_ = nullptr;
  TfLiteInterpreterOptions* options_ = nullptr;
  TfLiteInterpreter* interpreter_ = nullptr;
  TfLiteDelegate* delegate_ = nullptr;
  TfLiteDelegate* xnnpack_ = nullptr;
  // Messages of the runtime: the first is the cause, the last often names the operator.
  char first_[160] = {0}, last_[160] = {0};
};

}  // namespace tfprune

#endif  // TFPRUNE_BENCHMARK_MODEL_H_
