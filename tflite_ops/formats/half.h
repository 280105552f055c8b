// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_FORMATS_HALF_H_
#define TFPRUNE_FORMATS_HALF_H_

#include <stddef.h>
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

// IEEE 754 binary32 to binary16, the nearest, ties to even; beyond 65504 an infinity. A NaN stays one.
inline uint16_t FloatToHalf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  const uint32_t sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00);
  if (rest >= 0x477ff000) return static_cast<uint16_t>(sign | 0x7c00);  // from 65520 on
  if (rest < 0x38800000) {  // below 2^-14: a multiple of 2^-24, which the last place of 0.5 plus it is
    float magnitude;
    memcpy(&magnitude, &rest, sizeof(magnitude));
    magnitude += 0.5f;
    memcpy(&bits, &magnitude, sizeof(bits));
    return static_cast<uint16_t>(sign | (bits - 0x3f000000));
  }
  const uint32_t odd = rest >> 13 & 1;
  return static_cast<uint16_t>(sign | ((rest - (112u << 23) + 0xfff + odd) >> 13));
}

// Widens `count` values. The same numbers as HalfToFloat, four at a time and without branches.
inline void HalvesToFloats(const uint16_t* halves, size_t count, float* floats) {
  typedef uint16_t Halves __attribute__((vector_size(8)));
  typedef uint32_t Bits __attribute__((vector_size(16)));
  typedef float Floats __attribute__((vector_size(16)));
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    Halves four;
    memcpy(&four, halves + i, sizeof(four));
    const Bits all = __builtin_convertvector(four, Bits), rest = all & 0x7fff;
    const Bits above = reinterpret_cast<Bits>(rest >= 0x7c00) & (112u << 23);
    const Bits normal = (rest << 13) + (112u << 23) + above;
    // 0.5 plus `rest` of its last places, which are 2^-24, less 0.5.
    const Bits tiny = reinterpret_cast<Bits>(reinterpret_cast<Floats>(rest + 0x3f000000) - 0.5f);
    const Bits is_tiny = reinterpret_cast<Bits>(rest < 0x0400);
    const Bits result = (normal & ~is_tiny) | (tiny & is_tiny) | (all & 0x8000) << 16;
    memcpy(floats + i, &result, sizeof(result));
  }
  for (; i < count; ++i) floats[i] = HalfToFloat(halves[i]);
}

}  // namespace tfprune

#endif  // TFPRUNE_FORMATS_HALF_H_
