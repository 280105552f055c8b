// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_FORMATS_HALF_H_
#define TFPRUNE_FORMATS_HALF_H_

#include <stdint.h>
#include <string.h>

namespace tfprune {

// IEEE 754 binary16 to binary32, exact for every value; a NaN stays one.
inline float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16, rest = half & 0x7fff;
  float value;
  if (rest >= 0x0400) {
    // Exponent and fraction move up; an exponent of all ones stays one.
    const uint32_t bits = sign | ((rest << 13) + (rest >= 0x7c00 ? 224u << 23 : 112u << 23));
    memcpy(&value, &bits, sizeof(value));
    return value;
  }
  value = static_cast<float>(rest) * 5.9604644775390625e-8f;  // subnormal: a multiple of 2^-24
  return sign != 0 ? -value : value;
}

}  // namespace tfprune

#endif  // TFPRUNE_FORMATS_HALF_H_
