// SPDX-License-Identifier: Apache-2.0
// Lists of numbers of a few bits each, lowest bit first; of no bits where all are the same.
#ifndef TFPRUNE_FORMATS_BIT_LIST_H_
#define TFPRUNE_FORMATS_BIT_LIST_H_

#include <stdint.h>

#include "tflite_ops/base/status.h"

namespace tfprune {

inline uint64_t BitListBytes(uint64_t count, uint32_t bits) { return (count * bits + 7) / 8; }

// `ends[i]` = sum of the first i + 1 numbers. Fails where the sum of all is not `total`, or where numbers of no bits
// would not be whole and at least 1: a list of them costs nothing, and must not ask for more memory than there are
// things it counts. Reads BitListBytes(count, bits) bytes.
Status ReadBitList(const char* name, const uint8_t* bytes, uint32_t count, uint32_t bits, uint32_t total,
                   uint32_t* ends);

// The rule for lists of no bits, which must hold before anyone makes room for the ends.
Status CheckEqualNumbers(const char* name, uint32_t count, uint32_t bits, uint32_t total);

}  // namespace tfprune

#endif  // TFPRUNE_FORMATS_BIT_LIST_H_
