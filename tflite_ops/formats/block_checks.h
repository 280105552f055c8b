// SPDX-License-Identifier: Apache-2.0
// The part of the reader of packed weights that is about blocks.
#ifndef TFPRUNE_FORMATS_BLOCK_CHECKS_H_
#define TFPRUNE_FORMATS_BLOCK_CHECKS_H_

#include <stdint.h>

#include "tflite_ops/base/status.h"
#include "tflite_ops/formats/packed_weights.h"

namespace tfprune {

// Every block with a row and a column and its rows in order inside its band; fills `band_values` and counts the
// `values` of all blocks. The ends of all lists have been checked.
Status CheckBlocks(PackedWeights* view, uint64_t* values);

}  // namespace tfprune

#endif  // TFPRUNE_FORMATS_BLOCK_CHECKS_H_
