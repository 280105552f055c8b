// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/planar_int8/planar_int8.h"

namespace tfprune {

#define TFPRUNE_INT8_ISA(name, value)                                                                         \
  namespace name {                                                                                            \
  Int8KernelSet GetInt8Kernels(Encoding encoding, uint32_t group_rows, Int8Layout layout, uint32_t operands); \
  }
#include "tflite_ops/kernels/planar_int8/isa.inc"
#undef TFPRUNE_INT8_ISA

Int8KernelSet GetInt8Kernels([[maybe_unused]] Arch arch, [[maybe_unused]] Encoding encoding,
                             [[maybe_unused]] uint32_t group_rows, [[maybe_unused]] Int8Layout layout,
                             [[maybe_unused]] uint32_t operands) {
  Int8KernelSet best = {};
#define TFPRUNE_INT8_ISA(name, value) \
  if (arch >= Arch::value) best = name::GetInt8Kernels(encoding, group_rows, layout, operands);
#include "tflite_ops/kernels/planar_int8/isa.inc"
#undef TFPRUNE_INT8_ISA
  return best;
}

}  // namespace tfprune
