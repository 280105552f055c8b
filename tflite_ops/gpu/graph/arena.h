// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_GRAPH_ARENA_H_
#define TFPRUNE_GPU_GRAPH_ARENA_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/status.h"

namespace tfprune {

// A tensor that is needed from step `first`, which writes it, to step `last`, the last that reads it.
struct Lifetime {
  uint32_t first = 0, last = 0;
  size_t bytes = 0;
};

// Gives each tensor a place in one block of memory: offsets are multiples of `alignment`, a power of two, and tensors
// whose lifetimes share a step do not overlap. Stores the bytes of the block in `total`.
//
// The largest tensor goes first (of equals the one that begins first), each at the place where the gap between those
// it meets is the tightest that it fits. The result depends on the arguments alone. Fails without memory, or where the
// sum of the sizes overflows.
Status PlanArena(const Lifetime* lifetimes, uint32_t count, size_t alignment, size_t* offsets, size_t* total);

}  // namespace tfprune

#endif  // TFPRUNE_GPU_GRAPH_ARENA_H_
