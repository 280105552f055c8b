// SPDX-License-Identifier: Apache-2.0
// The TFLite face of both custom ops. TfpruneFullyConnected is TfpruneConv2D over `batch` pixels; only shapes differ.
#ifndef TFPRUNE_OPS_SPARSE_OP_H_
#define TFPRUNE_OPS_SPARSE_OP_H_

#include "tensorflow/lite/builtin_ops.h"
#include "tensorflow/lite/core/c/common.h"
#include "tflite_ops/ops/shared_state.h"

namespace tfprune {

// True for the names of the custom ops this library runs.
bool IsTfpruneOp(const char* custom_name);

bool IsTfpruneConv2D(const char* custom_name);
constexpr int kSparseOpVersion = 1;

// Fails where the shape of a convolution's geometry tensor (docs/formats.md) is not that of its packed weights.
Status CheckConvGeometry(const PackedWeights& weights, const TfLiteTensor& geometry);

// The registration of a delegate kernel that runs exactly one of those ops. Its `init` expects TfLiteDelegateParams
// whose delegate's `data_` is the SharedState.
TfLiteRegistration SparseOpRegistration();

// The same for interpreters that find ops by name, without a delegate; `name` is one that IsTfpruneOp.
TfLiteRegistration NamedSparseOpRegistration(const char* name);

// Name of the kernel that ran last in this process, "" before the first run.
const char* LastKernelName();
void SetLastKernelName(const char* name);

}  // namespace tfprune

#endif  // TFPRUNE_OPS_SPARSE_OP_H_
