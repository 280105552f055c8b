// SPDX-License-Identifier: Apache-2.0
// Which nodes of a graph become chains.
#ifndef TFPRUNE_DELEGATE_PARTITION_H_
#define TFPRUNE_DELEGATE_PARTITION_H_

#include "tensorflow/lite/core/c/common.h"
#include "tflite_ops/base/memory.h"

namespace tfprune {

// Nodes [first, first + count) of `nodes`, in execution order.
struct NodeRun {
  uint32_t first, count;
};

struct Partition {
  AlignedArray<int> nodes;
  AlignedArray<NodeRun> chains;
  uint32_t chain_count = 0;
};

// Finds the runs of neighbouring nodes that are predicted to be faster as one chain than each on its own. False without
// memory.
bool FindChains(TfLiteContext* context, const TfLiteIntArray& plan, Partition* partition);

}  // namespace tfprune

#endif  // TFPRUNE_DELEGATE_PARTITION_H_
