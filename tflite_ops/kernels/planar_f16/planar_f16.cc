// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/planar_f16/planar_f16.h"

namespace tfprune {

#if defined(__aarch64__)
namespace neon_fp16 {
HalfKernelSet GetHalfKernels(Encoding encoding, uint32_t group_rows);
}

HalfKernelSet GetHalfKernels(Encoding encoding, uint32_t group_rows) {
  return InBlocks(encoding) ? HalfKernelSet{} : neon_fp16::GetHalfKernels(encoding, group_rows);
}
#else
HalfKernelSet GetHalfKernels(Encoding, uint32_t) { return {}; }
#endif

}  // namespace tfprune
