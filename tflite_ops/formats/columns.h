// SPDX-License-Identifier: Apache-2.0
// The part of the reader of packed weights that is about start columns.
#ifndef TFPRUNE_FORMATS_COLUMNS_H_
#define TFPRUNE_FORMATS_COLUMNS_H_

#include <stdint.h>

#include "tflite_ops/base/status.h"
#include "tflite_ops/formats/header.h"
#include "tflite_ops/formats/packed_weights.h"

namespace tfprune {

// Bytes of the bitmap of one line.
inline uint64_t BitmapBytes(const PackedWeights& packed, const Storage& storage) {
  const uint64_t bits = (uint64_t{packed.columns()} + storage.column_unit - 1) / storage.column_unit;
  return (bits + 7) / 8;
}

// Makes `line_ends` and steps from the bitmaps of all lines. Fails where they have another number of bits than
// `group_count`. Whether the groups lie inside the matrix is not looked at.
Status ReadBitmap(const uint8_t* bitmap, const Storage& storage, PackedWeights* packed);

// Every group inside the columns and behind the one before it in its line.
Status CheckColumns(const PackedWeights& packed);

}  // namespace tfprune

#endif  // TFPRUNE_FORMATS_COLUMNS_H_
