// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/delegate/options.h"

#include <stdlib.h>
#include <string.h>

#include "tflite_ops/base/thread_pool.h"

namespace tfprune {

namespace {

Status ParseSwitch(const char* key, const char* value, bool* option) {
  *option = strcmp(value, "1") == 0;
  if (*option || strcmp(value, "0") == 0) return {};
  return Error("tfprune delegate: %s must be 0 or 1, got '%.60s'", key, value);
}

Status ParseThreads(const char* value, uint32_t* threads) {
  *threads = 0;
  if (strcmp(value, "auto") == 0) return {};
  char* end = nullptr;
  const long number = value[0] >= '0' && value[0] <= '9' ? strtol(value, &end, 10) : 0;
  if (number < 1 || number > static_cast<long>(kMaxThreads) || *end != '\0') {
    return Error("tfprune delegate: threads must be auto or a number from 1 to %u, got '%.60s'", kMaxThreads, value);
  }
  *threads = static_cast<uint32_t>(number);
  return {};
}

Status ParseArchOption(const char* value, Arch* arch) {
  if (strcmp(value, "auto") == 0) return {};
  if (!ParseArch(value, arch)) {
    return Error(
        "tfprune delegate: arch must be auto, reference, sse2, avx2, avx512, avx512_vnni, neon, neon_dotprod or "
        "neon_i8mm, got '%.60s'",
        value);
  }
  if (IsSupported(*arch)) return {};
  return Error("tfprune delegate: arch %s does not run on this machine, the best one here is %s", value,
               ArchName(DetectedArch()));
}

Status ParsePrecision(const char* value, Precision* precision) {
  *precision = strcmp(value, "f16") == 0 ? Precision::kF16 : Precision::kF32;
  if (*precision == Precision::kF16 || strcmp(value, "f32") == 0) return {};
  return Error("tfprune delegate: precision must be f32 or f16, got '%.60s'", value);
}

Status ParseAccumulation(const char* value, Arithmetic* arithmetic) {
  *arithmetic = strcmp(value, "f16") == 0 ? Arithmetic::kFloat16 : Arithmetic::kFloat32;
  if (*arithmetic == Arithmetic::kFloat16 || strcmp(value, "f32") == 0) return {};
  return Error("tfprune delegate: accumulation must be f32 or f16, got '%.60s'", value);
}

Status ParseBackend(const char* value, Backend* backend) {
  constexpr const char* kNames[] = {"cpu", "gpu", "auto", "plan"};
  for (uint8_t i = 0; i < sizeof(kNames) / sizeof(kNames[0]); ++i) {
    if (strcmp(value, kNames[i]) != 0) continue;
    *backend = static_cast<Backend>(i);
    return {};
  }
  return Error("tfprune delegate: backend must be cpu, gpu, auto or plan, got '%.60s'", value);
}

// After all options: with a GPU the precision is that of its tensors.
Status CheckBackend(Options* options) {
  GpuOptions* const gpu = &options->gpu;
  if (gpu->backend != Backend::kCpu) {
    gpu->storage = options->precision == Precision::kF16 ? Storage::kFloat16 : Storage::kFloat32;
    gpu->profile = options->profile;
    options->precision = Precision::kF32;
    if (gpu->arithmetic == Arithmetic::kFloat32 || gpu->storage == Storage::kFloat16) return {};
    return Error("tfprune delegate: accumulation=f16 needs precision=f16");
  }
  if (gpu->arithmetic != Arithmetic::kFloat32) {
    return Error("tfprune delegate: accumulation=f16 is for backend=gpu and backend=auto");
  }
  if (gpu->program_cache == nullptr) return {};
  return Error("tfprune delegate: program_cache is for backend=gpu and backend=auto, got '%.60s' without one",
               gpu->program_cache);
}

// After all options: the kernels in float16 are NEON's.
Status CheckPrecision(const Options& options) {
  if (options.precision == Precision::kF32) return {};
  if (!HasHalfArithmetic()) {
    return Error(
        "tfprune delegate: precision f16 needs a processor with Armv8.2 half-precision arithmetic (FEAT_FP16, "
        "asimdhp in /proc/cpuinfo), this one has none; the best arch here is %s, with precision f32",
        ArchName(DetectedArch()));
  }
  if (options.arch >= Arch::kNeon) return {};
  return Error("tfprune delegate: precision f16 needs an arch of NEON, got %s", ArchName(options.arch));
}

Status CheckTuning(const Options& options) {
  const bool path = options.tune_cache != nullptr && options.tune_cache[0] != '\0';
  if (options.tune && !path) {
    return Error("tfprune delegate: tune=1 needs tune_cache, the path of the file that keeps what was chosen");
  }
  if (!options.tune && options.tune_cache != nullptr) {
    return Error("tfprune delegate: tune_cache is for tune=1 only, got '%.60s' without it", options.tune_cache);
  }
  if (options.tune && options.precision == Precision::kF16) {
    return Error("tfprune delegate: tune=1 is for precision=f32; half precision has one tile and nothing to choose");
  }
  return {};
}

}  // namespace

Status ParseOptions(const char* const* keys, const char* const* values, size_t count, Options* options) {
  for (size_t i = 0; i < count; ++i) {
    if (strcmp(keys[i], "arch") == 0) {
      TFPRUNE_RETURN_IF_ERROR(ParseArchOption(values[i], &options->arch));
    } else if (strcmp(keys[i], "chains") == 0) {
      TFPRUNE_RETURN_IF_ERROR(ParseSwitch(keys[i], values[i], &options->chains));
    } else if (strcmp(keys[i], "precision") == 0) {
      TFPRUNE_RETURN_IF_ERROR(ParsePrecision(values[i], &options->precision));
    } else if (strcmp(keys[i], "profile") == 0) {
      TFPRUNE_RETURN_IF_ERROR(ParseSwitch(keys[i], values[i], &options->profile));
    } else if (strcmp(keys[i], "tune") == 0) {
      TFPRUNE_RETURN_IF_ERROR(ParseSwitch(keys[i], values[i], &options->tune));
    } else if (strcmp(keys[i], "threads") == 0) {
      TFPRUNE_RETURN_IF_ERROR(ParseThreads(values[i], &options->threads));
    } else if (strcmp(keys[i], "tune_cache") == 0) {
      options->tune_cache = values[i];
    } else if (strcmp(keys[i], "backend") == 0) {
      TFPRUNE_RETURN_IF_ERROR(ParseBackend(values[i], &options->gpu.backend));
    } else if (strcmp(keys[i], "accumulation") == 0) {
      TFPRUNE_RETURN_IF_ERROR(ParseAccumulation(values[i], &options->gpu.arithmetic));
    } else if (strcmp(keys[i], "program_cache") == 0) {
      if (values[i][0] == '\0') {
        return Error("tfprune delegate: program_cache must name a folder, got an empty path");
      }
      options->gpu.program_cache = values[i];
    } else {
      return Error(
          "tfprune delegate: option '%.60s' does not exist; the options are: accumulation, arch, backend, chains, "
          "precision, profile, program_cache, threads, tune, tune_cache",
          keys[i]);
    }
  }
  TFPRUNE_RETURN_IF_ERROR(CheckBackend(options));
  TFPRUNE_RETURN_IF_ERROR(CheckPrecision(*options));
  TFPRUNE_RETURN_IF_ERROR(CheckTuning(*options));
  if (options->precision == Precision::kF16) options->chains = false;  // images between planar layers are float32
  if (options->arch == Arch::kReference) options->chains = false;      // it has no planar layers
  return {};
}

}  // namespace tfprune
