// SPDX-License-Identifier: Apache-2.0
// Runs a converted model from C++ in LiteRT's CompiledModel, with tfprune's ops in its options.
//
//   compiled_model libLiteRt.so MODEL.tflite INPUT OUTPUT [THREADS]
//
// INPUT and OUTPUT hold the raw values of the model's one input and of its first output.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <vector>

#include "examples/cpp/files.h"
#include "examples/cpp/litert.h"
#include "tflite_ops/include/tfprune.h"

namespace {

constexpr size_t kModelAlignment = 64;  // what CreateModelFromBuffer asks for

int Fail(const char* what) {
  fprintf(stderr, "%s\n", what);
  return 1;
}

// A file in memory at a multiple of 64; null where it cannot be read.
void* ReadAligned(const char* path, size_t* size) {
  struct stat facts;
  if (stat(path, &facts) != 0 || facts.st_size <= 0) return nullptr;
  *size = static_cast<size_t>(facts.st_size);
  void* content = nullptr;
  if (posix_memalign(&content, kModelAlignment, *size) != 0) return nullptr;
  if (Read(path, content, *size)) return content;
  free(content);
  return nullptr;
}

bool Compile(const LiteRt& lite, LiteRtHandle environment, LiteRtHandle model, LiteRtHandle* compiled) {
  LiteRtOptions options = nullptr;
  return lite.CreateOptions(&options) == kLiteRtStatusOk &&
         lite.SetOptionsHardwareAccelerators(options, kLiteRtHwAcceleratorCpu) == kLiteRtStatusOk &&
         tfprune_add_custom_ops(options) == kLiteRtStatusOk &&
         lite.CreateCompiledModel(environment, model, options, compiled) == kLiteRtStatusOk;
}

// A buffer of a shape, as the compiled model wants it for an input or output; null on an error.
LiteRtHandle MakeBuffer(const LiteRt& lite, LiteRtHandle environment, LiteRtHandle tensor, LiteRtHandle requirements,
                        const LiteRtLayout* layout) {
  LiteRtRankedTensorType type;
  LiteRtHandle buffer = nullptr;
  if (lite.GetRankedTensorType(tensor, &type) != kLiteRtStatusOk) return nullptr;
  if (layout != nullptr) type.layout = *layout;
  for (int32_t& size : type.layout.dimensions) size = size < 0 ? 1 : size;  // of any size: one image
  return lite.CreateManagedTensorBufferFromRequirements(environment, &type, requirements, &buffer) == kLiteRtStatusOk
             ? buffer
             : nullptr;
}

// Reads the values of a buffer from a file, or writes them to one.
bool Transfer(const LiteRt& lite, LiteRtHandle buffer, const char* path, bool into) {
  size_t size = 0;
  void* host = nullptr;
  const int mode = into ? kLiteRtTensorBufferLockModeWrite : kLiteRtTensorBufferLockModeRead;
  if (lite.GetTensorBufferSize(buffer, &size) != kLiteRtStatusOk ||
      lite.LockTensorBuffer(buffer, &host, mode) != kLiteRtStatusOk) {
    return false;
  }
  const bool done = into ? Read(path, host, size) : Write(path, host, size);
  return lite.UnlockTensorBuffer(buffer) == kLiteRtStatusOk && done;
}

// LiteRT ignores the status of a custom op, so it is asked for.
bool TellError() {
  char sentence[300];
  if (tfprune_last_error(sentence, sizeof sentence) == 0) return false;
  fprintf(stderr, "%s\n", sentence);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5 || argc > 6) return Fail("usage: compiled_model libLiteRt.so MODEL.tflite INPUT OUTPUT [THREADS]");
  LiteRt lite;
  if (!lite.Load(argv[1])) return 1;
  size_t size = 0;
  const void* content = ReadAligned(argv[2], &size);
  LiteRtHandle environment = nullptr, model = nullptr, compiled = nullptr, signature = nullptr;
  if (content == nullptr || lite.CreateEnvironment(0, nullptr, &environment) != kLiteRtStatusOk ||
      lite.CreateModelFromBuffer(environment, content, size, &model) != kLiteRtStatusOk ||
      lite.GetModelSignature(model, 0, &signature) != kLiteRtStatusOk) {
    return Fail("the model cannot be read");
  }
  if (tfprune_set_custom_op_threads(argc > 5 ? atoi(argv[5]) : 1) != kLiteRtStatusOk ||
      !Compile(lite, environment, model, &compiled)) {
    TellError();
    return Fail("the model cannot be compiled");
  }

  size_t inputs = 0, outputs = 0;
  lite.GetNumSignatureInputs(signature, &inputs);
  lite.GetNumSignatureOutputs(signature, &outputs);
  if (inputs != 1 || outputs == 0) return Fail("the model must have one input and an output");
  LiteRtHandle tensor = nullptr, requirements = nullptr;
  lite.GetSignatureInputTensorByIndex(signature, 0, &tensor);
  lite.GetCompiledModelInputBufferRequirements(compiled, 0, 0, &requirements);
  const LiteRtHandle input = MakeBuffer(lite, environment, tensor, requirements, nullptr);
  std::vector<LiteRtLayout> layouts(outputs);
  lite.GetCompiledModelOutputTensorLayouts(compiled, 0, outputs, layouts.data(), true);
  std::vector<LiteRtHandle> results;
  for (size_t i = 0; i < outputs; ++i) {
    lite.GetSignatureOutputTensorByIndex(signature, i, &tensor);
    lite.GetCompiledModelOutputBufferRequirements(compiled, 0, i, &requirements);
    results.push_back(MakeBuffer(lite, environment, tensor, requirements, &layouts[i]));
    if (results.back() == nullptr) return Fail("there is no buffer for an output");
  }
  if (input == nullptr || !Transfer(lite, input, argv[3], true)) {
    return Fail("INPUT must hold exactly the values of the model's input");
  }
  const bool ran = lite.RunCompiledModel(compiled, 0, 1, &input, outputs, results.data()) == kLiteRtStatusOk;
  if (TellError() || !ran) return Fail("the model cannot run");
  if (!Transfer(lite, results[0], argv[4], false)) return Fail("OUTPUT cannot be written");
  printf("tfprune %s, %s, last kernel %s\n", tfprune_version(), tfprune_detected_arch(), tfprune_last_kernel());
  return 0;
}
