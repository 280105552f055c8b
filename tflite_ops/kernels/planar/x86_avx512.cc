// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "tflite_ops/kernels/planar/planar.h"

namespace tfprune {
namespace avx512 {
namespace {

struct Simd {
  using Vector = __m512;
  static constexpr int kLanes = 16;
  static constexpr char kRowBandName[] = "row_band/avx512";
  static constexpr char kRowBandSingleName[] = "row_band_single/avx512";
  static constexpr char kSlidingName[] = "sliding_row/avx512";
  static constexpr char kSlidingSingleName[] = "sliding_row_single/avx512";
  static constexpr char kSlidingAnyName[] = "sliding_row_any/avx512";
  static constexpr char kBlockRowsName[] = "block_rows/avx512";
  static constexpr char kBlockRowsSingleName[] = "block_rows_single/avx512";
  static constexpr char kBlockColumnsName[] = "block_columns/avx512";
  static constexpr char kBlockColumnsSingleName[] = "block_columns_single/avx512";
  // Sums of blocks: rows by vectors in registers.
  static constexpr int kMostBlockRows = 4, kBlockVectors = 4;
  static constexpr bool kWeightsByLane = false;
  static constexpr bool kLoadsInPairs = false;
  static constexpr bool kFewRowsElsewhere = false;
  static constexpr size_t kBlockPositions = 0;
  // 32 registers: eight rows by two vectors. Few rows take more positions, so that enough sums run side by side.
  static constexpr int kMostBandRows = 8;
  static constexpr int VectorsFor(int rows) { return rows <= 4 ? 4 : rows <= 8 ? 2 : 1; }
  static __mmask16 Mask(size_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static Vector Zero() { return _mm512_setzero_ps(); }
  static Vector Set(float value) { return _mm512_set1_ps(value); }
  static Vector Load(const float* p) { return _mm512_loadu_ps(p); }
  static void Store(float* p, Vector v) { _mm512_storeu_ps(p, v); }
  // max and min return their second operand where one is NaN: a NaN passes through, as in the dense op.
  // The maskz forms with a full mask: GCC 12's plain ones warn about a value of their own that is not initialised.
  static Vector Clamp(Vector v, Vector low, Vector high) {
    return _mm512_maskz_min_ps(Mask(kLanes), high, _mm512_maskz_max_ps(Mask(kLanes), low, v));
  }
  static Vector MultiplyAddOne(Vector acc, Vector x, float weight) {
    return _mm512_fmadd_ps(x, _mm512_set1_ps(weight), acc);
  }

  static Vector Add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static Vector Even(Vector a, Vector b) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(a, even, b);
  }
  static Vector LoadPartial(const float* p, size_t n) { return _mm512_maskz_loadu_ps(Mask(n), p); }
  static void StorePartial(float* p, Vector v, size_t n) { _mm512_mask_storeu_ps(p, Mask(n), v); }

  // 16x16: pairs, quads, then 128-bit blocks twice.
  static inline __attribute__((always_inline)) void Transpose(Vector* v) {
    Vector pair[16], quad[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      pair[2 * i] = _mm512_maskz_unpacklo_ps(Mask(kLanes), v[2 * i], v[2 * i + 1]);
      pair[2 * i + 1] = _mm512_maskz_unpackhi_ps(Mask(kLanes), v[2 * i], v[2 * i + 1]);
    }
    // quad[4 * h + j]: column 4 * block + j of rows 4 * h .. 4 * h + 3, in each 128-bit block.
#pragma GCC unroll 4
    for (int h = 0; h < 4; ++h) {
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        const Vector a = pair[4 * h + i], b = pair[4 * h + i + 2];
        quad[4 * h + 2 * i] = _mm512_maskz_shuffle_ps(Mask(kLanes), a, b, _MM_SHUFFLE(1, 0, 1, 0));
        quad[4 * h + 2 * i + 1] = _mm512_maskz_shuffle_ps(Mask(kLanes), a, b, _MM_SHUFFLE(3, 2, 3, 2));
      }
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const Vector even_top = _mm512_maskz_shuffle_f32x4(Mask(kLanes), quad[j], quad[4 + j], 0x88);
      const Vector odd_top = _mm512_maskz_shuffle_f32x4(Mask(kLanes), quad[j], quad[4 + j], 0xDD);
      const Vector even_bottom = _mm512_maskz_shuffle_f32x4(Mask(kLanes), quad[8 + j], quad[12 + j], 0x88);
      const Vector odd_bottom = _mm512_maskz_shuffle_f32x4(Mask(kLanes), quad[8 + j], quad[12 + j], 0xDD);
      v[j] = _mm512_maskz_shuffle_f32x4(Mask(kLanes), even_top, even_bottom, 0x88);
      v[4 + j] = _mm512_maskz_shuffle_f32x4(Mask(kLanes), odd_top, odd_bottom, 0x88);
      v[8 + j] = _mm512_maskz_shuffle_f32x4(Mask(kLanes), even_top, even_bottom, 0xDD);
      v[12 + j] = _mm512_maskz_shuffle_f32x4(Mask(kLanes), odd_top, odd_bottom, 0xDD);
    }
  }

  template <int kRows, int kVectors>
  static inline __attribute__((always_inline)) void MultiplyAdd(Vector (&acc)[kRows][kVectors], const Vector* x,
                                                                const float* weights) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vector weight = _mm512_set1_ps(weights[r]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) acc[r][v] = _mm512_fmadd_ps(x[v], weight, acc[r][v]);
    }
  }
};

#include "tflite_ops/kernels/planar/generic.h"
// Behind generic.h, on which it builds.
#include "tflite_ops/kernels/planar/block.h"

}  // namespace

KernelSet GetKernels(Encoding encoding, uint32_t group_rows) {
  return InBlocks(encoding) ? ChooseBlockKernels<Simd>(encoding) : ChooseKernels<Simd>(encoding, group_rows);
}

}  // namespace avx512
}  // namespace tfprune
