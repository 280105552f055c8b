// SPDX-License-Identifier: Apache-2.0
// The part of the reader of packed weights that is about blocks.
#ifndef TFPRUNE_FORMATS_BLOCK_CHECKS_H_
#define TFPRUNE_FORMATS_BLOCK_CHECKS_H_

#include <stdint.h>

#include "tflite_ops/base/status.h"
#include "tflite_ops/formats/packed_weights.h"

namespace tfprune {

// Points the view at the section of block rows, whose `size` bytes start at `section`; ends are not looked at yet.
Status ReadBlockSection(const uint8_t* section, uint64_t size, PackedWeights* packed);

// Every block inside its band and its rows in order; fills `band_values` and counts the `values` of all blocks. The
// columns, and with them `line_ends`, have been checked.
Status CheckBlocks(PackedWeights* view, uint64_t* values);

}  // namespace tfprune

#endif  // TFPRUNE_FORMATS_BLOCK_CHECKS_H_
