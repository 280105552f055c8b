// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>
#include <string.h>

#include <utility>

#include "tflite_ops/kernels/planar_int8/planar_int8.h"

namespace tfprune {
namespace avx512_vnni {
namespace {

#include "tflite_ops/kernels/planar_int8/transpose.h"
#include "tflite_ops/kernels/planar_int8/x86_pick.h"

struct Simd {
  static constexpr char kPixelName[] = "row_band_single_int8/avx512_vnni";
  using Vector = __m512i;
  using Bytes = __m512i;
  using Sum = __m512i;
  static constexpr int kLanes = 16;
  static constexpr uint8_t kFlip = 0x80;       // vpdpbusd takes unsigned inputs
  static constexpr uint8_t kWidenPercent = 0;  // slower: more bytes of input than the first cache holds
  static constexpr __mmask16 kAll = 0xFFFF;

  static Sum Start(int32_t value) { return _mm512_set1_epi32(value); }
  static Vector Total(Sum sum) { return sum; }
  static inline __attribute__((always_inline)) void Pick(const uint8_t** x, const uint8_t** places, size_t count,
                                                         uint8_t** to) {
    PickFromWindow(x, places, count, to);
  }

  // Lane l gets operand l / kWidth of those at `x`.
  template <int kWidth>
  static inline __attribute__((always_inline)) Bytes Spread(const uint8_t* x) {
    if constexpr (kWidth == 16) {
      int32_t four;
      memcpy(&four, x, sizeof(four));
      return _mm512_set1_epi32(four);
    } else if constexpr (kWidth > 1) {
      constexpr int kBits = kWidth == 8 ? 3 : kWidth / 2;
      const Bytes lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
      const __m256i some = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
      const Bytes operand = _mm512_maskz_srli_epi32(kAll, lane, kBits);
      return _mm512_maskz_permutexvar_epi32(kAll, operand, _mm512_castsi256_si512(some));
    } else {
      return LoadBytes(x);
    }
  }
  template <int kWidth, int kIndex>
  static inline __attribute__((always_inline)) Sum DotPixel(Sum sum, const uint8_t* inputs, Bytes weights) {
    return _mm512_dpbusd_epi32(sum, Spread<kWidth>(inputs + kIndex * (4 * kLanes / kWidth)), weights);
  }
  static Bytes LoadBytes(const uint8_t* p) { return _mm512_loadu_si512(p); }

  // Of 128-bit block b, operand vector v holds positions 16 * b + 4 * v .. + 3.
  static inline __attribute__((always_inline)) void Interleave(const uint8_t* p0, const uint8_t* p1, const uint8_t* p2,
                                                               const uint8_t* p3, Bytes* x) {
    const Bytes a = LoadBytes(p0), b = LoadBytes(p1), c = LoadBytes(p2), d = LoadBytes(p3);
    const Bytes low_ab = _mm512_unpacklo_epi8(a, b), high_ab = _mm512_unpackhi_epi8(a, b);
    const Bytes low_cd = _mm512_unpacklo_epi8(c, d), high_cd = _mm512_unpackhi_epi8(c, d);
    x[0] = _mm512_unpacklo_epi16(low_ab, low_cd);
    x[1] = _mm512_unpackhi_epi16(low_ab, low_cd);
    x[2] = _mm512_unpacklo_epi16(high_ab, high_cd);
    x[3] = _mm512_unpackhi_epi16(high_ab, high_cd);
  }

  // A 4x4 transpose of 128-bit blocks. The maskz forms: GCC 12's plain ones warn about a value of their own.
  static inline __attribute__((always_inline)) void Reorder(Vector* v) {
    const Vector a = _mm512_maskz_shuffle_i32x4(kAll, v[0], v[1], 0x44);
    const Vector b = _mm512_maskz_shuffle_i32x4(kAll, v[0], v[1], 0xEE);
    const Vector c = _mm512_maskz_shuffle_i32x4(kAll, v[2], v[3], 0x44);
    const Vector d = _mm512_maskz_shuffle_i32x4(kAll, v[2], v[3], 0xEE);
    v[0] = _mm512_maskz_shuffle_i32x4(kAll, a, c, 0x88);
    v[1] = _mm512_maskz_shuffle_i32x4(kAll, a, c, 0xDD);
    v[2] = _mm512_maskz_shuffle_i32x4(kAll, b, d, 0x88);
    v[3] = _mm512_maskz_shuffle_i32x4(kAll, b, d, 0xDD);
  }

  template <int kVectors>
  static inline __attribute__((always_inline)) void LoadQuads(const uint8_t* p, Bytes* x) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) x[v] = LoadBytes(p + 4 * v * kLanes);
  }

  template <int kRows, int kVectors>
  static inline __attribute__((always_inline)) void Dot(Sum (&sum)[kRows][kVectors], const Bytes* x,
                                                        const int8_t* weights) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      int32_t four;
      memcpy(&four, weights + 4 * r, 4);
      const Bytes weight = _mm512_set1_epi32(four);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[r][v] = _mm512_dpbusd_epi32(sum[r][v], x[v], weight);
    }
  }

  template <int kRows, int kVectors, int kIndex>
  static inline __attribute__((always_inline)) void DotBatch(Sum (&sum)[kRows][kVectors], const Bytes* x,
                                                             const int8_t* weights) {
    Dot<kRows, kVectors>(sum, x, weights + kIndex * kRows * 4);
  }

  struct Clamp {
    __m512 lowest, highest;
    Vector zero;
    Clamp(float low, float high, int32_t zero_point)
        : lowest(_mm512_set1_ps(low)), highest(_mm512_set1_ps(high)), zero(_mm512_set1_epi32(zero_point)) {}
  };

  template <int kVectors>
  static inline __attribute__((always_inline)) void ToBytes(int8_t* out, const Vector* total, float factor,
                                                            const Clamp& clamp) {
    const __m512 factors = _mm512_set1_ps(factor);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const __m512 value = _mm512_maskz_mul_ps(kAll, _mm512_maskz_cvtepi32_ps(kAll, total[v]), factors);
      const __m512 clamped = _mm512_maskz_min_ps(kAll, _mm512_maskz_max_ps(kAll, value, clamp.lowest), clamp.highest);
      const Vector rounded = _mm512_add_epi32(_mm512_maskz_cvtps_epi32(kAll, clamped), clamp.zero);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16 * v), _mm512_maskz_cvtepi32_epi8(kAll, rounded));
    }
  }

  static inline __attribute__((always_inline)) void ToFloats(float* out, Vector total, int32_t row_sum,
                                                             const int32_t* zero_points, const float* position_scales,
                                                             float scale, float bias, float low, float high) {
    const Vector zero = _mm512_mullo_epi32(_mm512_loadu_si512(zero_points), _mm512_set1_epi32(row_sum));
    const __m512 sum = _mm512_maskz_cvtepi32_ps(kAll, _mm512_sub_epi32(total, zero));
    const __m512 scaled = _mm512_mul_ps(_mm512_mul_ps(sum, _mm512_loadu_ps(position_scales)), _mm512_set1_ps(scale));
    const __m512 value = _mm512_add_ps(scaled, _mm512_set1_ps(bias));
    const __m512 raised = _mm512_maskz_max_ps(kAll, _mm512_set1_ps(low), value);
    _mm512_storeu_ps(out, _mm512_maskz_min_ps(kAll, _mm512_set1_ps(high), raised));
  }
};

#include "tflite_ops/kernels/planar_int8/generic.h"

// 32 registers: sixteen sums, four inputs. Sixteen sums side by side hide the latency of vpdpbusd.
Int8Kernel TileKernel(Encoding encoding, uint32_t group_rows, Int8Layout layout) {
  constexpr Int8Layout kQuads = Int8Layout::kQuads, kPlanes = Int8Layout::kPlanes;
  if (encoding == Encoding::kRowBand) {
    if (layout == kPlanes) {
      if (group_rows == 1) return Int8RowBand<Simd, 1, 4, kPlanes>(group_rows, "row_band_planes/avx512_vnni");
      if (group_rows == 2) return Int8RowBand<Simd, 2, 4, kPlanes>(group_rows, "row_band_planes/avx512_vnni");
      return Int8RowBand<Simd, 4, 4, kPlanes>(group_rows, "row_band_planes/avx512_vnni");
    }
    if (group_rows == 1) return Int8RowBand<Simd, 1, 4, kQuads>(group_rows, "row_band_quads/avx512_vnni");
    if (group_rows == 2) return Int8RowBand<Simd, 2, 4, kQuads>(group_rows, "row_band_quads/avx512_vnni");
    if (group_rows < 8) return Int8RowBand<Simd, 4, 4, kQuads>(group_rows, "row_band_quads/avx512_vnni");
    return Int8RowBand<Simd, 8, 2, kQuads>(group_rows, "row_band_quads/avx512_vnni");
  }
  if (layout == kPlanes) {
    if (group_rows == 1) return Int8Sliding<Simd, 1, 4, kPlanes>("sliding_row_planes/avx512_vnni");
    if (group_rows == 2) return Int8Sliding<Simd, 2, 4, kPlanes>("sliding_row_planes/avx512_vnni");
    if (group_rows == 4) return Int8Sliding<Simd, 4, 4, kPlanes>("sliding_row_planes/avx512_vnni");
    return Int8SlidingAny<Simd, 4, kPlanes>("sliding_row_any_planes/avx512_vnni");
  }
  if (group_rows == 1) return Int8Sliding<Simd, 1, 4, kQuads>("sliding_row_quads/avx512_vnni");
  if (group_rows == 2) return Int8Sliding<Simd, 2, 4, kQuads>("sliding_row_quads/avx512_vnni");
  if (group_rows == 4) return Int8Sliding<Simd, 4, 4, kQuads>("sliding_row_quads/avx512_vnni");
  if (group_rows == 8) return Int8Sliding<Simd, 8, 2, kQuads>("sliding_row_quads/avx512_vnni");
  if (group_rows == 16) return Int8Sliding<Simd, 16, 1, kQuads>("sliding_row_quads/avx512_vnni");
  return Int8SlidingAny<Simd, 4, kQuads>("sliding_row_any_quads/avx512_vnni");
}

}  // namespace

Int8KernelSet GetInt8Kernels(Encoding encoding, uint32_t group_rows, Int8Layout layout, uint32_t) {
  return Int8Set<Simd>(encoding, TileKernel(encoding, group_rows, layout));
}

}  // namespace avx512_vnni
}  // namespace tfprune
