// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BASE_HASH_H_
#define TFPRUNE_BASE_HASH_H_

#include <stddef.h>
#include <stdint.h>

namespace tfprune {

constexpr uint64_t kHashStart = 0xCBF29CE484222325u;

// 64-bit FNV-1a: tells texts apart, and is no protection against somebody who looks for equal ones. `hash` is
// kHashStart, or the result for the bytes before.
inline uint64_t Hash64(const void* bytes, size_t count, uint64_t hash = kHashStart) {
  const uint8_t* at = static_cast<const uint8_t*>(bytes);
  for (size_t i = 0; i < count; ++i) hash = (hash ^ at[i]) * 0x100000001B3u;
  return hash;
}

}  // namespace tfprune

#endif  // TFPRUNE_BASE_HASH_H_
