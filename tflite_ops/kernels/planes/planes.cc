// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/planes/planes.h"

#include "tflite_ops/kernels/planes/pool_lines.h"

namespace tfprune {

#define TFPRUNE_ISA(name, value)  \
  namespace name {                \
  PlaneKernels GetPlaneKernels(); \
  }
#include "tflite_ops/kernels/simd/isa.inc"
#undef TFPRUNE_ISA

PlaneKernels GetPlaneKernels(Arch arch) {
  switch (FloatArch(arch)) {
#define TFPRUNE_ISA(name, value) \
  case Arch::value:              \
    return name::GetPlaneKernels();
#include "tflite_ops/kernels/simd/isa.inc"
#undef TFPRUNE_ISA
    default:
      return ReferencePlaneKernels();
  }
}

// Phases may be written one vector too far, the last of them into the room at the end.
size_t PoolScratchFloats(const PoolShape& shape) {
  return PoolLineFloats(shape) + shape.stride_w * PoolPhaseFloats(shape) + PoolCountFloats(shape) + kMaxLanes;
}

}  // namespace tfprune
