// SPDX-License-Identifier: Apache-2.0
// Runs a converted model from C++ over TFLite's C API: with tfprune's delegate, or with its ops registered by name.
//
//   main MODEL.tflite INPUT OUTPUT [delegate|ops] [THREADS]
//
// INPUT and OUTPUT hold the raw values of the first input and the first output. The delegate also joins neighbouring
// layers; ops registered by name need no delegate, as in an interpreter of your own with a MutableOpResolver.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memory>
#include <vector>

#include "examples/cpp/files.h"
#include "tensorflow/lite/c/c_api.h"
#include "tensorflow/lite/c/c_api_experimental.h"
#include "tflite_ops/include/tfprune.h"

namespace {

template <typename T, void (*destroy)(T*)>
struct Deleter {
  void operator()(T* object) const { destroy(object); }
};
template <typename T, void (*destroy)(T*)>
using Owned = std::unique_ptr<T, Deleter<T, destroy>>;

int Fail(const char* what) {
  fprintf(stderr, "%s\n", what);
  return 1;
}

void Print(const char* message) { fprintf(stderr, "%s\n", message); }

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4 || argc > 6) return Fail("usage: main MODEL.tflite INPUT OUTPUT [delegate|ops] [THREADS]");
  const bool by_name = argc > 4 && strcmp(argv[4], "ops") == 0;
  if (argc > 4 && !by_name && strcmp(argv[4], "delegate") != 0) return Fail("the way must be delegate or ops");

  const Owned<TfLiteModel, TfLiteModelDelete> model(TfLiteModelCreateFromFile(argv[1]));
  if (model == nullptr) return Fail("the model cannot be read");
  const Owned<TfLiteInterpreterOptions, TfLiteInterpreterOptionsDelete> options(TfLiteInterpreterOptionsCreate());
  TfLiteInterpreterOptionsSetNumThreads(options.get(), argc > 5 ? atoi(argv[5]) : 1);

  // Destroyed after the interpreter, which is made later.
  Owned<TfLiteDelegate, tflite_plugin_destroy_delegate> delegate;
  if (by_name) {
    for (const char* name : {"TfpruneConv2D", "TfpruneFullyConnected", "TfpruneLSTM"}) {
      TfLiteInterpreterOptionsAddCustomOp(options.get(), name, tfprune_registration(name), 1, 1);
    }
  } else {
    delegate.reset(tflite_plugin_create_delegate(nullptr, nullptr, 0, Print));
    if (delegate == nullptr) return 1;
    TfLiteInterpreterOptionsAddDelegate(options.get(), delegate.get());
  }
  const Owned<TfLiteInterpreter, TfLiteInterpreterDelete> interpreter(
      TfLiteInterpreterCreate(model.get(), options.get()));
  if (interpreter == nullptr || TfLiteInterpreterAllocateTensors(interpreter.get()) != kTfLiteOk) {
    return Fail("the interpreter cannot be made");
  }

  TfLiteTensor* input = TfLiteInterpreterGetInputTensor(interpreter.get(), 0);
  std::vector<char> values(TfLiteTensorByteSize(input));
  if (!Read(argv[2], values.data(), values.size()))
    return Fail("INPUT must hold exactly the values of the model's first input");
  TfLiteTensorCopyFromBuffer(input, values.data(), values.size());
  if (TfLiteInterpreterInvoke(interpreter.get()) != kTfLiteOk) return Fail("the model cannot run");
  const TfLiteTensor* output = TfLiteInterpreterGetOutputTensor(interpreter.get(), 0);
  if (!Write(argv[3], TfLiteTensorData(output), TfLiteTensorByteSize(output))) return Fail("OUTPUT cannot be written");
  printf("tfprune %s, %s, last kernel %s\n", tfprune_version(), tfprune_detected_arch(), tfprune_last_kernel());
  return 0;
}
