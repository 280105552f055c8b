// SPDX-License-Identifier: Apache-2.0
#include <emmintrin.h>
#include <string.h>

#include <utility>

#include "tflite_ops/kernels/planar_int8/planar_int8.h"

namespace tfprune {
namespace sse2 {
namespace {

#include "tflite_ops/kernels/planar_int8/transpose.h"

// Bytes 0 and 2 (Even) and 1 and 3 (Odd) of each operand as 16-bit numbers: pmaddwd of both with the same of the
// weights adds all four products in 32 bits. pmaddubsw would take half as many instructions, but saturates.
inline __m128i Even(__m128i four) { return _mm_srai_epi16(_mm_slli_epi16(four, 8), 8); }
inline __m128i Odd(__m128i four) { return _mm_srai_epi16(four, 8); }

struct Simd {
  static constexpr char kPixelName[] = "row_band_single_int8/sse2";
  using Vector = __m128i;
  using Bytes = __m128i;
  using Sum = __m128i;
  static constexpr int kLanes = 4;
  static constexpr uint8_t kFlip = 0;
  static constexpr uint8_t kWidenPercent = 0;  // slower: more bytes of input than the first cache holds

  static Sum Start(int32_t value) { return _mm_set1_epi32(value); }
  static Vector Total(Sum sum) { return sum; }
  static inline __attribute__((always_inline)) void Pick(const uint8_t** x, const uint8_t** places, size_t count,
                                                         uint8_t** to) {
    for (size_t i = 0; i < count; ++i) (*to)[i] = (*x)[(*places)[i]];
    *x += kPixelWindow, *places += count, *to += count;
  }

  // Lane l gets operand l / kWidth of those at `x`.
  template <int kWidth>
  static inline __attribute__((always_inline)) Bytes Spread(const uint8_t* x) {
    const Bytes some = LoadBytes(x);
    return kWidth == 4 ? _mm_shuffle_epi32(some, 0) : kWidth == 2 ? _mm_unpacklo_epi32(some, some) : some;
  }
  template <int kWidth, int kIndex>
  static inline __attribute__((always_inline)) Sum DotPixel(Sum sum, const uint8_t* inputs, Bytes weights) {
    const Bytes x = Spread<kWidth>(inputs + kIndex * (4 * kLanes / kWidth));
    const Sum even = _mm_madd_epi16(Even(x), Even(weights)), odd = _mm_madd_epi16(Odd(x), Odd(weights));
    return _mm_add_epi32(sum, _mm_add_epi32(even, odd));
  }
  static Bytes LoadBytes(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }

  static inline __attribute__((always_inline)) void Interleave(const uint8_t* p0, const uint8_t* p1, const uint8_t* p2,
                                                               const uint8_t* p3, Bytes* x) {
    const Bytes a = LoadBytes(p0), b = LoadBytes(p1), c = LoadBytes(p2), d = LoadBytes(p3);
    const Bytes low_ab = _mm_unpacklo_epi8(a, b), high_ab = _mm_unpackhi_epi8(a, b);
    const Bytes low_cd = _mm_unpacklo_epi8(c, d), high_cd = _mm_unpackhi_epi8(c, d);
    x[0] = _mm_unpacklo_epi16(low_ab, low_cd);
    x[1] = _mm_unpackhi_epi16(low_ab, low_cd);
    x[2] = _mm_unpacklo_epi16(high_ab, high_cd);
    x[3] = _mm_unpackhi_epi16(high_ab, high_cd);
  }

  static void Reorder(Vector*) {}

  // SSE2 multiplies lanes 0 and 2 only.
  static Vector Multiply(Vector a, Vector b) {
    const __m128i even = _mm_mul_epu32(a, b), odd = _mm_mul_epu32(_mm_srli_si128(a, 4), _mm_srli_si128(b, 4));
    return _mm_unpacklo_epi32(_mm_shuffle_epi32(even, 0x08), _mm_shuffle_epi32(odd, 0x08));
  }

  template <int kVectors>
  static inline __attribute__((always_inline)) void LoadQuads(const uint8_t* p, Bytes* x) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) x[v] = LoadBytes(p + 4 * v * kLanes);
  }

  template <int kRow, int kVectors>
  static inline __attribute__((always_inline)) void AddRow(Sum (&sum)[kVectors], const Bytes* even, const Bytes* odd,
                                                           Bytes even_weights, Bytes odd_weights) {
    const Bytes even_weight = _mm_shuffle_epi32(even_weights, kRow * 0x55);
    const Bytes odd_weight = _mm_shuffle_epi32(odd_weights, kRow * 0x55);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      sum[v] = _mm_add_epi32(sum[v], _mm_madd_epi16(even[v], even_weight));
      sum[v] = _mm_add_epi32(sum[v], _mm_madd_epi16(odd[v], odd_weight));
    }
  }

  template <int kRows, int kVectors>
  static inline __attribute__((always_inline)) void Dot(Sum (&sum)[kRows][kVectors], const Bytes* x,
                                                        const int8_t* weights) {
    Bytes even[kVectors], odd[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) even[v] = Even(x[v]), odd[v] = Odd(x[v]);
    if constexpr (kRows == 4) {
      const Bytes rows = _mm_loadu_si128(reinterpret_cast<const __m128i*>(weights));
      const Bytes even_weights = Even(rows), odd_weights = Odd(rows);
      AddRow<0, kVectors>(sum[0], even, odd, even_weights, odd_weights);
      AddRow<1, kVectors>(sum[1], even, odd, even_weights, odd_weights);
      AddRow<2, kVectors>(sum[2], even, odd, even_weights, odd_weights);
      AddRow<3, kVectors>(sum[3], even, odd, even_weights, odd_weights);
    } else {
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        int32_t four;
        memcpy(&four, weights + 4 * r, 4);
        const Bytes row = _mm_set1_epi32(four);
        AddRow<0, kVectors>(sum[r], even, odd, Even(row), Odd(row));
      }
    }
  }

  template <int kRows, int kVectors, int kIndex>
  static inline __attribute__((always_inline)) void DotBatch(Sum (&sum)[kRows][kVectors], const Bytes* x,
                                                             const int8_t* weights) {
    Dot<kRows, kVectors>(sum, x, weights + kIndex * kRows * 4);
  }

  struct Clamp {
    __m128 lowest, highest;
    Vector zero;
    Clamp(float low, float high, int32_t zero_point)
        : lowest(_mm_set1_ps(low)), highest(_mm_set1_ps(high)), zero(_mm_set1_epi32(zero_point)) {}
  };

  template <int kVectors>
  static inline __attribute__((always_inline)) void ToBytes(int8_t* out, const Vector* total, float factor,
                                                            const Clamp& clamp) {
    const __m128 factors = _mm_set1_ps(factor);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m128 value = _mm_mul_ps(_mm_cvtepi32_ps(total[v]), factors);
      const __m128 clamped = _mm_min_ps(_mm_max_ps(value, clamp.lowest), clamp.highest);
      const Vector rounded = _mm_add_epi32(_mm_cvtps_epi32(clamped), clamp.zero);
      const __m128i words = _mm_packs_epi32(rounded, rounded);
      const int32_t four = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
      memcpy(out + 4 * v, &four, 4);
    }
  }

  static inline __attribute__((always_inline)) void ToFloats(float* out, Vector total, int32_t row_sum,
                                                             const int32_t* zero_points, const float* position_scales,
                                                             float scale, float bias, float low, float high) {
    const Vector zeros = _mm_loadu_si128(reinterpret_cast<const __m128i*>(zero_points));
    const Vector zero = Multiply(zeros, _mm_set1_epi32(row_sum));
    const __m128 sum = _mm_cvtepi32_ps(_mm_sub_epi32(total, zero));
    const __m128 scaled = _mm_mul_ps(_mm_mul_ps(sum, _mm_loadu_ps(position_scales)), _mm_set1_ps(scale));
    const __m128 value = _mm_add_ps(scaled, _mm_set1_ps(bias));
    _mm_storeu_ps(out, _mm_min_ps(_mm_set1_ps(high), _mm_max_ps(_mm_set1_ps(low), value)));
  }
};

#include "tflite_ops/kernels/planar_int8/generic.h"

// 16 registers: four rows by two vectors of sums, or two by four, leave room for inputs and weights.
Int8Kernel TileKernel(Encoding encoding, uint32_t group_rows, Int8Layout layout) {
  constexpr Int8Layout kQuads = Int8Layout::kQuads, kPlanes = Int8Layout::kPlanes;
  if (encoding == Encoding::kRowBand) {
    if (layout == kPlanes) {
      if (group_rows == 1) return Int8RowBand<Simd, 1, 4, kPlanes>(group_rows, "row_band_planes/sse2");
      return Int8RowBand<Simd, 2, 4, kPlanes>(group_rows, "row_band_planes/sse2");
    }
    if (group_rows == 1) return Int8RowBand<Simd, 1, 4, kQuads>(group_rows, "row_band_quads/sse2");
    if (group_rows == 2) return Int8RowBand<Simd, 2, 4, kQuads>(group_rows, "row_band_quads/sse2");
    return Int8RowBand<Simd, 4, 2, kQuads>(group_rows, "row_band_quads/sse2");
  }
  if (layout == kPlanes) {
    if (group_rows == 1) return Int8Sliding<Simd, 1, 4, kPlanes>("sliding_row_planes/sse2");
    if (group_rows == 2) return Int8Sliding<Simd, 2, 4, kPlanes>("sliding_row_planes/sse2");
    return Int8SlidingAny<Simd, 4, kPlanes>("sliding_row_any_planes/sse2");
  }
  if (group_rows == 1) return Int8Sliding<Simd, 1, 4, kQuads>("sliding_row_quads/sse2");
  if (group_rows == 2) return Int8Sliding<Simd, 2, 4, kQuads>("sliding_row_quads/sse2");
  if (group_rows == 4) return Int8Sliding<Simd, 4, 2, kQuads>("sliding_row_quads/sse2");
  if (group_rows == 8) return Int8Sliding<Simd, 8, 1, kQuads>("sliding_row_quads/sse2");
  return Int8SlidingAny<Simd, 4, kQuads>("sliding_row_any_quads/sse2");
}

}  // namespace

Int8KernelSet GetInt8Kernels(Encoding encoding, uint32_t group_rows, Int8Layout layout, uint32_t) {
  return Int8Set<Simd>(encoding, TileKernel(encoding, group_rows, layout));
}

}  // namespace sse2
}  // namespace tfprune
