// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/lstm/lstm.h"

namespace tfprune {
namespace sse2 {
namespace {

#include "tflite_ops/kernels/lstm/generic.h"

}  // namespace

LstmKernels GetLstmKernels() { return KernelsNamed("lstm/sse2"); }

}  // namespace sse2
}  // namespace tfprune
