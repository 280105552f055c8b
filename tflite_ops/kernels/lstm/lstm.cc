// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/lstm/lstm.h"

namespace tfprune {

#define TFPRUNE_ISA(name, value) \
  namespace name {               \
  LstmKernels GetLstmKernels();  \
  }
#include "tflite_ops/kernels/simd/isa.inc"
#undef TFPRUNE_ISA

LstmKernels GetLstmKernels(Arch arch) {
  switch (FloatArch(arch)) {
#define TFPRUNE_ISA(name, value) \
  case Arch::value:              \
    return name::GetLstmKernels();
#include "tflite_ops/kernels/simd/isa.inc"
#undef TFPRUNE_ISA
    default:
      return ReferenceLstmKernels();
  }
}

}  // namespace tfprune
