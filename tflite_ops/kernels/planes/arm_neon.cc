// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "tflite_ops/kernels/planes/planes.h"
#include "tflite_ops/kernels/planes/pool_lines.h"
#include "tflite_ops/kernels/simd/neon.h"

namespace tfprune {
namespace neon {
namespace {

#include "tflite_ops/kernels/planes/generic.h"

}  // namespace

PlaneKernels GetPlaneKernels() { return KernelsNamed("planes/neon"); }

}  // namespace neon
}  // namespace tfprune
