// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/lstm/lstm.h"

namespace tfprune {
namespace avx512 {
namespace {

#include "tflite_ops/kernels/lstm/generic.h"

}  // namespace

LstmKernels GetLstmKernels() { return KernelsNamed("lstm/avx512"); }

}  // namespace avx512
}  // namespace tfprune
