// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BENCHMARK_ARGUMENTS_H_
#define TFPRUNE_BENCHMARK_ARGUMENTS_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/status.h"

namespace tfprune {

constexpr size_t kMostModels = 64;
constexpr size_t kMostOptions = 16;

constexpr char kUsage[] =
    "usage: tfprune_benchmark [--NAME=VALUE ...] MODEL.tflite ...\n"
    "Runs the models in turns on seeded inputs, compares their answers with the first one's, and prints the times of\n"
    "one inference as JSON.\n"
    "  --runtime=PATH      LiteRT with its C API (libtensorflowlite_jni.so)\n"
    "  --delegate=PATH     libtfprune.so, for models with tfprune ops; for all models where --option=backend=... asks\n"
    "                      for a GPU\n"
    "  --option=KEY=VALUE  an option of the delegate; may be repeated\n"
    "  --xnnpack=0|1       whether XNNPACK runs the ops that it has (1)\n"
    "  --threads=N         CPU threads, 1 to 1024 (1)\n"
    "  --cpus=MASK         the only CPUs to run on, as hexadecimal mask: f0 is CPUs 4 to 7 (all)\n"
    "  --seconds=S         time to measure; 7 to 101 rounds (0.05)\n"
    "  --sample=S          least time of a sample, which is several inferences of a fast model (0.001, and 0.05 with\n"
    "                      several threads)\n"
    "  --warm_up=S         least time that each model runs before (0.1)\n"
    "  --compare=0|1       whether the models must give the same answers (1)\n"
    "  --tolerance=R       largest difference of answers by the largest value (0.0001)\n"
    "  --seed=N            of the inputs (0)\n"
    "  --facts             print versions and instruction set without any model\n"
    "  --version, --help\n"
    "Exit codes: 2 arguments, 3 a model's file, 4 the runtime, 5 the delegate, 6 a model does not run, 7 answers "
    "differ.\n";

struct Arguments {
  const char* runtime = "libtensorflowlite_jni.so";
  const char* delegate = nullptr;
  // Options of the delegate; keys are terminated by a zero written into the arguments.
  const char* keys[kMostOptions];
  const char* values[kMostOptions];
  size_t option_count = 0;
  bool xnnpack = true, compare = true;
  int threads = 1;
  uint64_t cpus = 0;  // 0: all
  double seconds = 0.05;
  double sample_seconds = 0;  // 0: by the threads
  double warm_up_seconds = 0.1;
  double tolerance = 1e-4;
  uint64_t seed = 0;
  const char* models[kMostModels];
  size_t model_count = 0;
  bool help = false, version = false, facts = false;

  // Whether the delegate is to get all models: its GPU runs dense ones too.
  bool every_model() const;
};

// Reads the command line without the program's name. Options may change the strings of `values`, and point into them.
Status ParseArguments(char** values, size_t count, Arguments* arguments);

}  // namespace tfprune

#endif  // TFPRUNE_BENCHMARK_ARGUMENTS_H_
