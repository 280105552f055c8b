// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/formats/bit_list.h"

namespace tfprune {

Status CheckEqualNumbers(const char* name, uint32_t count, uint32_t bits, uint32_t total) {
  if (bits != 0 || (count != 0 && total != 0 && total % count == 0)) return {};
  return Error("packed weights: %s of no bits must be equal and at least 1, got %u in %u", name, total, count);
}

Status ReadBitList(const char* name, const uint8_t* bytes, uint32_t count, uint32_t bits, uint32_t total,
                   uint32_t* ends) {
  uint64_t sum = 0, waiting = 0;
  uint32_t have = 0;
  for (uint32_t i = 0; i < count; ++i) {
    for (; have < bits; have += 8) waiting |= uint64_t{*bytes++} << have;
    sum += bits == 0 ? total / count : waiting & ((uint64_t{1} << bits) - 1);
    waiting >>= bits;
    have -= bits;
    if (sum > total) break;
    ends[i] = static_cast<uint32_t>(sum);
  }
  return sum == total ? Status{} : Error("packed weights: %s must add up to %u", name, total);
}

}  // namespace tfprune
