// SPDX-License-Identifier: Apache-2.0
// The TFLite face of a chain: one delegate kernel that replaces several nodes.
#ifndef TFPRUNE_OPS_CHAIN_OP_H_
#define TFPRUNE_OPS_CHAIN_OP_H_

#include "tensorflow/lite/core/c/common.h"

namespace tfprune {

// The registration of a delegate kernel that runs nodes ReadPlanarNode understands. Its `init` expects
// TfLiteDelegateParams whose delegate's `data_` is the SharedState.
TfLiteRegistration ChainOpRegistration();

}  // namespace tfprune

#endif  // TFPRUNE_OPS_CHAIN_OP_H_
