// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/delegate/options.h"

#include <string.h>

namespace tfprune {

Status ParseOptions(const char* const* keys, const char* const* values, size_t count, Options* options) {
  for (size_t i = 0; i < count; ++i) {
    if (strcmp(keys[i], "chains") == 0) {
      options->chains = strcmp(values[i], "1") == 0;
      if (!options->chains && strcmp(values[i], "0") != 0) {
        return Error("tfprune delegate: chains must be 0 or 1, got '%s'", values[i]);
      }
      continue;
    }
    if (strcmp(keys[i], "arch") != 0) {
      return Error("tfprune delegate: option '%s' does not exist; the options are: arch, chains", keys[i]);
    }
    if (strcmp(values[i], "auto") == 0) continue;
    if (!ParseArch(values[i], &options->arch)) {
      return Error(
          "tfprune delegate: arch must be auto, reference, sse2, avx2, avx512, avx512_vnni, neon or neon_dotprod, "
          "got '%s'",
          values[i]);
    }
    if (!IsSupported(options->arch)) {
      return Error("tfprune delegate: arch %s does not run on this machine, the best one here is %s", values[i],
                   ArchName(DetectedArch()));
    }
  }
  if (options->arch == Arch::kReference) options->chains = false;  // it has no planar layers
  return {};
}

}  // namespace tfprune
