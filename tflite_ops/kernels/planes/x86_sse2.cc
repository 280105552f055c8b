// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "tflite_ops/kernels/planes/planes.h"
#include "tflite_ops/kernels/planes/pool_lines.h"
#include "tflite_ops/kernels/simd/sse2.h"

namespace tfprune {
namespace sse2 {
namespace {

#include "tflite_ops/kernels/planes/generic.h"

}  // namespace

PlaneKernels GetPlaneKernels() { return KernelsNamed("planes/sse2"); }

}  // namespace sse2
}  // namespace tfprune
