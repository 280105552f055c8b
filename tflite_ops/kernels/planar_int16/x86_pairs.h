// SPDX-License-Identifier: Apache-2.0
// Four sums of single positions on x86. Included once, inside the namespace of an ISA file.

struct X86Pixel {
  using Four = __m128i;
  using Inputs = __m128i;

  static Four ZeroFour() { return _mm_setzero_si128(); }
  static Inputs Spread(uint32_t pair) { return _mm_set1_epi32(static_cast<int32_t>(pair)); }
  static Inputs Gather(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    return _mm_setr_epi32(static_cast<int32_t>(a), static_cast<int32_t>(b), static_cast<int32_t>(c),
                          static_cast<int32_t>(d));
  }
  static Four MultiplyFour(Four sum, const int16_t* weights, Inputs pairs) {
    const __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(weights));
    return _mm_add_epi32(sum, _mm_madd_epi16(pairs, four));
  }
  static void StoreFour(int32_t* to, Four sum) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), sum); }
};
