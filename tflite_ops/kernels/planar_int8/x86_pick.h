// SPDX-License-Identifier: Apache-2.0
// Included once, inside the namespace of an ISA file with AVX2.

// `to[i] = x[places[i]]` for 32 places of 64: a look-up in each sixteen bytes, of which bits 4 and 5 of a place choose.
inline __attribute__((always_inline)) void Pick32(const uint8_t* x, const uint8_t* places, uint8_t* to) {
  const __m256i place = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(places));
  const auto look_up = [&](int part) __attribute__((always_inline)) {
    const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x) + part);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(sixteen), place);
  };
  const __m256i bit4 = _mm256_slli_epi16(place, 3), bit5 = _mm256_slli_epi16(place, 2);
  const __m256i low = _mm256_blendv_epi8(look_up(0), look_up(1), bit4);
  const __m256i high = _mm256_blendv_epi8(look_up(2), look_up(3), bit4);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_blendv_epi8(low, high, bit5));
}

// Simd::Pick
inline __attribute__((always_inline)) void PickFromWindow(const uint8_t** x, const uint8_t** places, size_t count,
                                                          uint8_t** to) {
  Pick32(*x, *places, *to);
  if (count > 32) Pick32(*x, *places + 32, *to + 32);
  *x += kPixelWindow, *places += count, *to += count;
}
