// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/lstm/lstm.h"

namespace tfprune {
namespace neon {
namespace {

#include "tflite_ops/kernels/lstm/generic.h"

}  // namespace

LstmKernels GetLstmKernels() { return KernelsNamed("lstm/neon"); }

}  // namespace neon
}  // namespace tfprune
