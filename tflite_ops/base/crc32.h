// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BASE_CRC32_H_
#define TFPRUNE_BASE_CRC32_H_

#include <stddef.h>
#include <stdint.h>

namespace tfprune {

struct CrcTable {
  uint32_t of[256] = {};
};

constexpr CrcTable MakeCrcTable() {
  CrcTable table;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
    table.of[byte] = crc;
  }
  return table;
}

inline constexpr CrcTable kCrcTable = MakeCrcTable();

// CRC-32 with the reflected polynomial 0xEDB88320, the one of zlib and PNG. `crc` is 0, or the result for the bytes
// before.
inline uint32_t Crc32(const void* bytes, size_t count, uint32_t crc = 0) {
  const uint8_t* at = static_cast<const uint8_t*>(bytes);
  crc = ~crc;
  for (size_t i = 0; i < count; ++i) crc = (crc >> 8) ^ kCrcTable.of[(crc ^ at[i]) & 255];
  return ~crc;
}

}  // namespace tfprune

#endif  // TFPRUNE_BASE_CRC32_H_
