// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BASE_CRC32_H_
#define TFPRUNE_BASE_CRC32_H_

#include <stddef.h>
#include <stdint.h>

namespace tfprune {

// CRC-32 with the reflected polynomial 0xEDB88320, the one of zlib and PNG. Bitwise: it only runs over 124 bytes a
// layer.
inline uint32_t Crc32(const uint8_t* bytes, size_t count) {
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < count; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
  }
  return ~crc;
}

}  // namespace tfprune

#endif  // TFPRUNE_BASE_CRC32_H_
