// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_FORMATS_LITTLE_ENDIAN_H_
#define TFPRUNE_FORMATS_LITTLE_ENDIAN_H_

#include <stdint.h>

namespace tfprune {

inline uint32_t ReadU16(const uint8_t* bytes, uint32_t offset) {
  return bytes[offset] | (uint32_t{bytes[offset + 1]} << 8);
}
inline uint32_t ReadU32(const uint8_t* bytes, uint32_t offset) {
  return ReadU16(bytes, offset) | (ReadU16(bytes, offset + 2) << 16);
}

}  // namespace tfprune

#endif  // TFPRUNE_FORMATS_LITTLE_ENDIAN_H_
