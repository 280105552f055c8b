// SPDX-License-Identifier: Apache-2.0
// The OpenCL programs of this folder, embedded by the build.
#ifndef TFPRUNE_GPU_KERNELS_PROGRAMS_H_
#define TFPRUNE_GPU_KERNELS_PROGRAMS_H_

#include <stdint.h>

namespace tfprune {

// A program's name is that of its last .cl file.
struct EmbeddedProgram {
  const char* name;
  const char* text;
};

extern const EmbeddedProgram kEmbeddedPrograms[];
extern const uint32_t kEmbeddedProgramCount;

// The text of a program, or null where there is none of this name.
const char* ProgramText(const char* name);

}  // namespace tfprune

#endif  // TFPRUNE_GPU_KERNELS_PROGRAMS_H_
