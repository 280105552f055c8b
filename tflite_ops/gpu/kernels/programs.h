// SPDX-License-Identifier: Apache-2.0
// The OpenCL programs of this folder, embedded by the build.
#ifndef TFPRUNE_GPU_KERNELS_PROGRAMS_H_
#define TFPRUNE_GPU_KERNELS_PROGRAMS_H_

#include <stdint.h>

namespace tfprune {

constexpr uint32_t kMostPieces = 4;

// A program's name is that of its last .cl file; its text is that of its files, one after the other.
struct EmbeddedProgram {
  const char* name;
  const char* pieces[kMostPieces];
  uint32_t piece_count;
};

// The program of this name, or null where there is none.
const EmbeddedProgram* FindProgram(const char* name);

}  // namespace tfprune

#endif  // TFPRUNE_GPU_KERNELS_PROGRAMS_H_
