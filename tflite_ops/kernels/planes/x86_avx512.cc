// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "tflite_ops/kernels/planes/planes.h"
#include "tflite_ops/kernels/planes/pool_lines.h"
#include "tflite_ops/kernels/simd/avx512.h"

namespace tfprune {
namespace avx512 {
namespace {

#include "tflite_ops/kernels/planes/generic.h"

}  // namespace

PlaneKernels GetPlaneKernels() { return KernelsNamed("planes/avx512"); }

}  // namespace avx512
}  // namespace tfprune
