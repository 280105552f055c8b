// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/lstm/lstm.h"

namespace tfprune {
namespace avx2 {
namespace {

#include "tflite_ops/kernels/lstm/generic.h"

}  // namespace

LstmKernels GetLstmKernels() { return KernelsNamed("lstm/avx2"); }

}  // namespace avx2
}  // namespace tfprune
