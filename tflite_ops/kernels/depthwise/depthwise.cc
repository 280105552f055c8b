// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/depthwise/depthwise.h"

#include "tflite_ops/kernels/depthwise/lines.h"

namespace tfprune {

#define TFPRUNE_ISA(name, value)                                   \
  namespace name {                                                 \
  DepthwiseKernel GetDepthwiseKernel(const DepthwiseShape& shape); \
  }
#include "tflite_ops/kernels/simd/isa.inc"
#undef TFPRUNE_ISA

DepthwiseKernel GetDepthwiseKernel(Arch arch, [[maybe_unused]] const DepthwiseShape& shape) {
  switch (FloatArch(arch)) {
#define TFPRUNE_ISA(name, value) \
  case Arch::value:              \
    return name::GetDepthwiseKernel(shape);
#include "tflite_ops/kernels/simd/isa.inc"
#undef TFPRUNE_ISA
    default:
      return {"depthwise/reference", ReferenceDepthwise};
  }
}

size_t DepthwiseScratchFloats(const DepthwiseShape& shape) {
  return DepthwiseSumFloats(shape) + shape.stride_w * DepthwiseLineFloats(shape);
}

}  // namespace tfprune
