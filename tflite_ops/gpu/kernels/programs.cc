// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/kernels/programs.h"

#include <string.h>

namespace tfprune {

#include "tflite_ops/gpu/kernels/embedded.inc"

const EmbeddedProgram* FindProgram(const char* name) {
  for (const EmbeddedProgram& program : kEmbeddedPrograms) {
    if (strcmp(program.name, name) == 0) return &program;
  }
  return nullptr;
}

}  // namespace tfprune
