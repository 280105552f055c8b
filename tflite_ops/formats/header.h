// SPDX-License-Identifier: Apache-2.0
// The header of packed weights: where its fields lie, and what of it is needed to find the sections.
#ifndef TFPRUNE_FORMATS_HEADER_H_
#define TFPRUNE_FORMATS_HEADER_H_

#include <stdint.h>

#include "tflite_ops/base/status.h"
#include "tflite_ops/formats/packed_weights.h"

namespace tfprune {

constexpr uint32_t kHeaderBytes = 128;

// Fields that say how the rest is stored, and are of no use behind that.
struct Storage {
  uint32_t column_bytes = 0;  // of a step; 0: start columns are a bitmap
  uint32_t column_unit = 0;   // columns of a bit
  uint32_t count_bits = 0, row_bits = 0, band_bits = 0;
  uint32_t row_count = 0;  // rows of all blocks
};

// Checks every rule that needs the header alone; fills the options, sizes and scales of `packed`.
Status ReadHeader(const uint8_t* bytes, size_t size, PackedWeights* packed, Storage* storage);

}  // namespace tfprune

#endif  // TFPRUNE_FORMATS_HEADER_H_
