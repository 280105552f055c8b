// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/planar/planar.h"

namespace tfprune {

#define TFPRUNE_ISA(name, value)                                \
  namespace name {                                              \
  KernelSet GetKernels(Encoding encoding, uint32_t group_rows); \
  }
#include "tflite_ops/kernels/planar/isa.inc"
#undef TFPRUNE_ISA

// Unused where there are no kernels.
KernelSet GetKernels(Arch arch, [[maybe_unused]] Encoding encoding, [[maybe_unused]] uint32_t group_rows) {
  switch (FloatArch(arch)) {
#define TFPRUNE_ISA(name, value) \
  case Arch::value:              \
    return name::GetKernels(encoding, group_rows);
#include "tflite_ops/kernels/planar/isa.inc"
#undef TFPRUNE_ISA
    default:
      return {};
  }
}

}  // namespace tfprune
