// SPDX-License-Identifier: Apache-2.0
// Times models on LiteRT and libtfprune, both loaded at run time: what `tfprune profile` runs on a phone.
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/base/version.h"
#include "tflite_ops/benchmark/arguments.h"
#include "tflite_ops/benchmark/libraries.h"
#include "tflite_ops/benchmark/model.h"
#include "tflite_ops/benchmark/sampling.h"

namespace tfprune {
namespace {

enum Exit {
  kDone = 0,
  kBadArguments = 2,
  kBadFile = 3,
  kBadRuntime = 4,
  kBadDelegate = 5,
  kBadModel = 6,
  kDiffers = 7
};
constexpr int kOutput = 1, kErrors = 2;  // streams have other names in other C libraries

void Write(int stream, const char* text) {
  for (size_t left = strlen(text); left > 0;) {
    const ssize_t written = write(stream, text, left);
    if (written <= 0) return;  // nobody reads
    text += written;
    left -= static_cast<size_t>(written);
  }
}

Exit Fail(Exit code, const Status& status) {
  Write(kErrors, "tfprune_benchmark: ");
  Write(kErrors, status.message);
  Write(kErrors, "\n");
  return code;
}

__attribute__((format(printf, 1, 2))) void Print(const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  Write(kOutput, text);
}

// A JSON string; what JSON does not allow in one becomes a question mark.
void PrintQuoted(const char* text) {
  Write(kOutput, "\"");
  for (; *text != '\0'; ++text) {
    const bool escaped = *text == '"' || *text == '\\';
    const char shown[] = {escaped ? '\\' : *text, escaped ? *text : '\0', '\0'};
    Write(kOutput, static_cast<unsigned char>(*text) < ' ' ? "?" : shown);
  }
  Write(kOutput, "\"");
}

Status RunOnlyOn(uint64_t cpus) {
  if (cpus == 0) return {};
  // The number 0 is this thread; the ones that come later inherit its CPUs.
  if (sched_setaffinity(0, sizeof(cpus), reinterpret_cast<const cpu_set_t*>(&cpus)) == 0) return {};
  return Error("--cpus=%llx: the system refuses; the machine has no such CPU, or it is switched off",
               static_cast<unsigned long long>(cpus));
}

struct Benchmark {
  Runtime runtime;
  DelegateLibrary library;
  // Behind the libraries, because it goes before them.
  Model models[kMostModels];
  double errors[kMostModels];
  size_t inferences[kMostModels];
  const char* kernels[kMostModels];
  Invocable invocables[kMostModels];
  AlignedArray<double> nanoseconds;
};

bool InvokeModel(void* model) { return static_cast<Model*>(model)->Invoke().ok(); }

// Loads one model, runs it once and compares it with the first one.
Exit Start(const Arguments& arguments, size_t index, Benchmark* benchmark, Status* status) {
  Model* const model = &benchmark->models[index];
  *status = model->Read(arguments.models[index]);
  if (!status->ok()) return kBadFile;
  *status = model->AddDelegates(benchmark->runtime, benchmark->library, arguments);
  if (!status->ok()) return kBadDelegate;
  *status = model->Start(arguments);
  if (!status->ok()) return kBadModel;
  benchmark->kernels[index] = model->delegated() ? benchmark->library.LastKernel() : "";
  benchmark->errors[index] = 0;
  if (!arguments.compare) return kDone;
  *status = model->Compare(benchmark->models[0], &benchmark->errors[index]);
  if (!status->ok()) return kDiffers;
  if (benchmark->errors[index] <= arguments.tolerance) return kDone;
  *status = Error("%.90s: its answer differs from that of %.90s by %g of the largest value, more than %g",
                  arguments.models[index], arguments.models[0], benchmark->errors[index], arguments.tolerance);
  return kDiffers;
}

// Makes a delegate and gives it back, so that its options are checked.
Status TryDelegate(const DelegateLibrary& library, const Arguments& arguments) {
  if (arguments.delegate == nullptr) return {};
  TfLiteDelegate* delegate = nullptr;
  TFPRUNE_RETURN_IF_ERROR(library.New(arguments.keys, arguments.values, arguments.option_count, &delegate));
  library.Destroy(delegate);
  return {};
}

void PrintModel(const Benchmark& benchmark, size_t index, size_t rounds, size_t count) {
  Print("{\"model\": ");
  PrintQuoted(benchmark.models[index].path());
  Print(", \"kernel\": ");
  PrintQuoted(benchmark.kernels[index]);
  Print(", \"error\": %.3g, \"inferences\": %zu, \"nanoseconds\": [", benchmark.errors[index],
        benchmark.inferences[index]);
  for (size_t round = 0; round < rounds; ++round) {
    Print("%s%.1f", round == 0 ? "" : ", ", benchmark.nanoseconds[round * count + index]);
  }
  Print("]}");
}

void PrintReport(const Benchmark& benchmark, const Arguments& arguments, size_t rounds) {
  Print("{\"version\": \"%s\", \"runtime\": ", TFPRUNE_VERSION);
  PrintQuoted(benchmark.runtime.Version());
  if (arguments.delegate != nullptr) {
    Print(", \"delegate\": ");
    PrintQuoted(benchmark.library.Version());
    Print(", \"arch\": ");
    PrintQuoted(benchmark.library.DetectedArch());
  }
  Print(", \"threads\": %d, \"rounds\": %zu, \"models\": [", arguments.threads, rounds);
  for (size_t i = 0; i < arguments.model_count; ++i) {
    Print(i == 0 ? "\n" : ",\n");
    PrintModel(benchmark, i, rounds, arguments.model_count);
  }
  Print("]}\n");
}

Exit Measure(const Arguments& arguments, Benchmark* benchmark) {
  Status status = RunOnlyOn(arguments.cpus);
  if (!status.ok()) return Fail(kBadArguments, status);
  status = benchmark->runtime.Load(arguments.runtime, arguments.xnnpack);
  if (!status.ok()) return Fail(kBadRuntime, status);
  if (arguments.delegate != nullptr) status = benchmark->library.Load(arguments.delegate);
  if (!status.ok()) return Fail(kBadDelegate, status);
  const size_t count = arguments.model_count;
  if (count == 0) {
    status = TryDelegate(benchmark->library, arguments);
    if (!status.ok()) return Fail(kBadDelegate, status);
    PrintReport(*benchmark, arguments, 0);
    return kDone;
  }
  for (size_t i = 0; i < count; ++i) {
    const Exit code = Start(arguments, i, benchmark, &status);
    if (code != kDone) return Fail(code, status);
    benchmark->invocables[i] = {&benchmark->models[i], InvokeModel};
  }
  if (!benchmark->nanoseconds.Reserve(kMostRounds * count)) return Fail(kBadModel, Error("no memory for the times"));
  size_t failed = 0;
  const Sampling sampling = {arguments.seconds, arguments.sample_seconds, arguments.warm_up_seconds};
  const size_t rounds = Interleave(benchmark->invocables, count, sampling, Now, benchmark->nanoseconds.data(),
                                   benchmark->inferences, &failed);
  if (rounds == 0) return Fail(kBadModel, Error("%.180s: ran once, and then failed", arguments.models[failed]));
  PrintReport(*benchmark, arguments, rounds);
  return kDone;
}

Exit Run(char** values, size_t count) {
  Arguments arguments;
  const Status status = ParseArguments(values, count, &arguments);
  if (!status.ok()) return Fail(kBadArguments, status);
  if (arguments.help || arguments.version) {
    Write(kOutput, arguments.help ? kUsage : TFPRUNE_VERSION "\n");
    return kDone;
  }
  Benchmark* const benchmark = Create<Benchmark>();
  if (benchmark == nullptr) return Fail(kBadModel, Error("no memory"));
  const Exit code = Measure(arguments, benchmark);
  Destroy(benchmark);
  return code;
}

}  // namespace
}  // namespace tfprune

int main(int count, char** values) { return tfprune::Run(values + 1, count > 0 ? static_cast<size_t>(count) - 1 : 0); }
