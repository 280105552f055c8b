// SPDX-License-Identifier: Apache-2.0
// Blocks of integer weights as row bands of one row, which is what there are kernels for.
#ifndef TFPRUNE_FORMATS_SINGLE_ROWS_H_
#define TFPRUNE_FORMATS_SINGLE_ROWS_H_

#include "tflite_ops/base/status.h"
#include "tflite_ops/formats/packed_weights.h"

namespace tfprune {

// The weights of `blocks` in `rows`, which owns all but the scales. Fails where two blocks hold the same weight, or
// where there is no memory.
Status BlocksToSingleRows(const PackedWeights& blocks, PackedWeights* rows);

// Everything of a layer but its groups and values: sizes, options, scales.
void CopyLayer(const PackedWeights& from, PackedWeights* to);

}  // namespace tfprune

#endif  // TFPRUNE_FORMATS_SINGLE_ROWS_H_
