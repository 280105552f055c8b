// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/kernels/programs.h"

#include <string.h>

namespace tfprune {

const EmbeddedProgram kEmbeddedPrograms[] = {
#include "tflite_ops/gpu/kernels/embedded.inc"
};
const uint32_t kEmbeddedProgramCount = sizeof(kEmbeddedPrograms) / sizeof(kEmbeddedPrograms[0]);

const char* ProgramText(const char* name) {
  for (uint32_t i = 0; i < kEmbeddedProgramCount; ++i) {
    if (strcmp(kEmbeddedPrograms[i].name, name) == 0) return kEmbeddedPrograms[i].text;
  }
  return nullptr;
}

}  // namespace tfprune
