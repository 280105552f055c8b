// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_DELEGATE_OPTIONS_H_
#define TFPRUNE_DELEGATE_OPTIONS_H_

#include <stddef.h>

#include "tflite_ops/base/arch.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/ops/gpu_options.h"

namespace tfprune {

struct Options {
  Arch arch = DetectedArch();             // option `arch`
  bool chains = true;                     // option `chains`: whether neighbouring planar layers may run as one
  Precision precision = Precision::kF32;  // option `precision`: of float layers; kF16 has no chains
  bool profile = false;                   // option `profile`: whether the time of every layer is counted
  bool tune = false;                      // option `tune`: whether alternatives are timed when layers are prepared
  const char* tune_cache = nullptr;       // option `tune_cache`: the file that keeps what was chosen; with `tune` only
  uint32_t threads = 0;                   // option `threads`: of the CPU's layers; 0 for the interpreter's
  GpuOptions gpu;  // options `backend`, `accumulation`, `program_cache`; `precision` and `profile`
};

// Reads the delegate's options: `arch` is "auto" or an ArchName this machine supports, `chains`, `profile` and `tune`
// are "1" or "0", `precision` is "f32" or, where the machine computes in float16, "f16", `tune_cache` is a path and
// comes with tune=1 only. `threads` is a number up to kMaxThreads or "auto", the interpreter's. `backend` is "cpu",
// "gpu", "auto" or "plan". With the last three, `precision` is how the GPU stores tensors, `accumulation`, "f32" or
// with half precision "f16", how it adds products up, layers on the CPU compute in float32, and `program_cache` may
// name a folder. Anything else is an error: an option that does not exist or cannot be met is never ignored. Options
// point into `values`.
Status ParseOptions(const char* const* keys, const char* const* values, size_t count, Options* options);

}  // namespace tfprune

#endif  // TFPRUNE_DELEGATE_OPTIONS_H_
