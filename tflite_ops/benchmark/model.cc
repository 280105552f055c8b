// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/benchmark/model.h"

#include <stdio.h>
#include <string.h>

#include "tflite_ops/benchmark/values.h"

namespace tfprune {
namespace {

constexpr long kMostBytes = 1l << 32;  // a folder tells the largest number there is
constexpr char kOps[] = "Tfprune";     // names of tfprune's ops begin so

bool Contains(const uint8_t* content, size_t size, const char* text) {
  const size_t length = strlen(text);
  for (const uint8_t* at = content; size >= length;) {
    const uint8_t* const found = static_cast<const uint8_t*>(memchr(at, text[0], size - length + 1));
    if (found == nullptr) return false;
    if (memcmp(found, text, length) == 0) return true;
    size -= static_cast<size_t>(found + 1 - at);
    at = found + 1;
  }
  return false;
}

// The whole file, from its start; false where it cannot be read, is too large, or memory is short.
bool ReadAll(FILE* file, AlignedArray<uint8_t>* content, size_t* size) {
  if (fseek(file, 0, SEEK_END) != 0) return false;
  const long end = ftell(file);
  if (end <= 0 || end > kMostBytes || fseek(file, 0, SEEK_SET) != 0 || !content->Reserve(static_cast<size_t>(end)))
    return false;
  *size = static_cast<size_t>(end);
  return fread(content->data(), 1, *size, file) == *size;
}

}  // namespace

Model::~Model() {
  if (runtime_ == nullptr) return;
  if (interpreter_ != nullptr) runtime_->InterpreterDelete(interpreter_);
  if (options_ != nullptr) runtime_->InterpreterOptionsDelete(options_);
  if (xnnpack_ != nullptr) runtime_->DeleteXnnpack(xnnpack_);
  if (delegate_ != nullptr) library_->Destroy(delegate_);
  if (model_ != nullptr) runtime_->ModelDelete(model_);
}

Status Model::Read(const char* path) {
  path_ = path;
  FILE* const file = fopen(path, "rb");
  if (file == nullptr) return Error("%.180s: there is no such file, or it cannot be read", path);
  const bool whole = ReadAll(file, &content_, &size_);
  fclose(file);
  return whole ? Status{}
               : Error("%.180s: must be a .tflite file of 1 byte to 4 GB, got a folder, nothing or more", path);
}

Status Model::AddDelegates(const Runtime& runtime, const DelegateLibrary& library, const Arguments& arguments) {
  runtime_ = &runtime;
  library_ = &library;
  options_ = runtime.InterpreterOptionsCreate();
  if (options_ == nullptr) return Error("%.180s: no memory", path_);
  runtime.InterpreterOptionsSetNumThreads(options_, arguments.threads);
  runtime.InterpreterOptionsSetErrorReporter(options_, Report, this);
  if (arguments.every_model() || Contains(content_.data(), size_, kOps)) {
    if (arguments.delegate == nullptr) {
      return Error("%.120s: holds tfprune ops; give --delegate=PATH of libtfprune.so", path_);
    }
    TFPRUNE_RETURN_IF_ERROR(library.New(arguments.keys, arguments.values, arguments.option_count, &delegate_));
    runtime.InterpreterOptionsAddDelegate(options_, delegate_);
  }
  if (!arguments.xnnpack) return {};
  xnnpack_ = runtime.NewXnnpack(arguments.threads);
  if (xnnpack_ == nullptr) return Error("%.120s: the runtime makes no XNNPACK delegate; give --xnnpack=0", path_);
  runtime.InterpreterOptionsAddDelegate(options_, xnnpack_);
  return {};
}

Status Model::Start(const Arguments& arguments) {
  model_ = runtime_->ModelCreate(content_.data(), size_);
  if (model_ == nullptr) return Error("%.180s: LiteRT takes it for no model", path_);
  interpreter_ = runtime_->InterpreterCreate(model_, options_);
  if (interpreter_ == nullptr) return Refused("load it");
  if (runtime_->InterpreterAllocateTensors(interpreter_) != kTfLiteOk) return Refused("prepare it");
  TFPRUNE_RETURN_IF_ERROR(FillInputs(arguments.seed));
  return Invoke();
}

Status Model::FillInputs(uint64_t seed) {
  Random random(seed);
  const int32_t count = runtime_->InterpreterGetInputTensorCount(interpreter_);
  for (int32_t i = 0; i < count; ++i) {
    TfLiteTensor* const tensor = runtime_->InterpreterGetInputTensor(interpreter_, i);
    const size_t bytes = runtime_->TensorByteSize(tensor);
    if (!Fill(runtime_->TensorType(tensor), runtime_->TensorData(tensor), bytes, &random)) {
      return Error("%.100s: input `%.60s` must be float32, whole numbers or booleans, got type %d", path_,
                   runtime_->TensorName(tensor), runtime_->TensorType(tensor));
    }
  }
  return {};
}

Status Model::Invoke() { return runtime_->InterpreterInvoke(interpreter_) == kTfLiteOk ? Status{} : Refused("run it"); }

Status Model::Compare(const Model& expected, double* error) const {
  *error = 0;
  const int32_t count = runtime_->InterpreterGetOutputTensorCount(interpreter_);
  if (count != runtime_->InterpreterGetOutputTensorCount(expected.interpreter_)) {
    return Error("%.100s: has other outputs than %.100s", path_, expected.path_);
  }
  for (int32_t i = 0; i < count; ++i) {
    const TfLiteTensor* const a = runtime_->InterpreterGetOutputTensor(expected.interpreter_, i);
    const TfLiteTensor* const b = runtime_->InterpreterGetOutputTensor(interpreter_, i);
    const size_t bytes = runtime_->TensorByteSize(a);
    double own = 0;
    if (runtime_->TensorType(a) != runtime_->TensorType(b) || bytes != runtime_->TensorByteSize(b)) {
      return Error("%.100s: output %d is of another type or size than that of %.100s", path_, i, expected.path_);
    }
    if (!RelativeError(runtime_->TensorType(a), runtime_->TensorData(a), runtime_->TensorData(b), bytes, &own)) {
      return Error("%.180s: output %d has type %d, which is not compared", path_, i, runtime_->TensorType(a));
    }
    if (own > *error) *error = own;
  }
  return {};
}

void Model::Report(void* self, const char* format, va_list arguments) {
  Model* const model = static_cast<Model*>(self);
  char* const place = model->first_[0] == '\0' ? model->first_ : model->last_;
  vsnprintf(place, sizeof(model->first_), format, arguments);
}

Status Model::Refused(const char* action) const {
  if (first_[0] == '\0') return Error("%.100s: LiteRT cannot %s and gives no reason", path_, action);
  return Error("%.50s: LiteRT cannot %s: %.95s%s%.60s", path_, action, first_, last_[0] == '\0' ? "" : "; ", last_);
}

}  // namespace tfprune
