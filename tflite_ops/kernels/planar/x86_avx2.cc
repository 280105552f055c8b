// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "tflite_ops/kernels/planar/planar.h"

namespace tfprune {
namespace avx2 {
namespace {

struct Simd {
  using Vector = __m256;
  static constexpr int kLanes = 8;
  static constexpr char kRowBandName[] = "row_band/avx2";
  static constexpr char kRowBandSingleName[] = "row_band_single/avx2";
  static constexpr char kSlidingName[] = "sliding_row/avx2";
  static constexpr char kSlidingSingleName[] = "sliding_row_single/avx2";
  static constexpr char kSlidingAnyName[] = "sliding_row_any/avx2";
  static constexpr char kBlockRowsName[] = "block_rows/avx2";
  static constexpr char kBlockRowsSingleName[] = "block_rows_single/avx2";
  static constexpr char kBlockColumnsName[] = "block_columns/avx2";
  static constexpr char kBlockColumnsSingleName[] = "block_columns_single/avx2";
  // Sums of blocks: rows by vectors in registers.
  static constexpr int kMostBlockRows = 6, kBlockVectors = 2;
  static constexpr bool kWeightsByLane = false;
  static constexpr bool kLoadsInPairs = false;
  static constexpr bool kFewRowsElsewhere = false;
  static constexpr size_t kBlockPositions = 0;
  // 16 registers: four rows by two vectors; longer bands run four rows at a time, which loads less than eight by one.
  static constexpr int kMostBandRows = 4;
  static constexpr int VectorsFor(int rows) { return rows <= 2 ? 4 : rows == 4 ? 2 : 1; }
  static Vector Zero() { return _mm256_setzero_ps(); }
  static Vector Set(float value) { return _mm256_set1_ps(value); }
  static Vector Load(const float* p) { return _mm256_loadu_ps(p); }
  static void Store(float* p, Vector v) { _mm256_storeu_ps(p, v); }
  // max and min return their second operand where one is NaN: a NaN passes through, as in the dense op.
  static Vector Clamp(Vector v, Vector low, Vector high) { return _mm256_min_ps(high, _mm256_max_ps(low, v)); }
  static Vector MultiplyAddOne(Vector acc, Vector x, float weight) {
    return _mm256_fmadd_ps(x, _mm256_set1_ps(weight), acc);
  }

  // The first n of eight lanes, for maskload and maskstore.
  static __m256i Mask(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Vector Add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  static Vector Even(Vector a, Vector b) {
    const __m256 mixed = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), _MM_SHUFFLE(3, 1, 2, 0)));
  }
  static Vector LoadPartial(const float* p, size_t n) { return _mm256_maskload_ps(p, Mask(n)); }
  static void StorePartial(float* p, Vector v, size_t n) { _mm256_maskstore_ps(p, Mask(n), v); }

  // 8x8: pairs, then quads inside each 128-bit half, then the halves.
  static inline __attribute__((always_inline)) void Transpose(Vector* v) {
    Vector pair[8], quad[8];
    for (int i = 0; i < 4; ++i) {
      pair[2 * i] = _mm256_unpacklo_ps(v[2 * i], v[2 * i + 1]);
      pair[2 * i + 1] = _mm256_unpackhi_ps(v[2 * i], v[2 * i + 1]);
    }
    for (int h = 0; h < 2; ++h) {
      for (int i = 0; i < 2; ++i) {
        const Vector a = pair[4 * h + i], b = pair[4 * h + i + 2];
        quad[4 * h + 2 * i] = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(1, 0, 1, 0));
        quad[4 * h + 2 * i + 1] = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(3, 2, 3, 2));
      }
    }
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm256_permute2f128_ps(quad[i], quad[4 + i], 0x20);
      v[4 + i] = _mm256_permute2f128_ps(quad[i], quad[4 + i], 0x31);
    }
  }

  template <int kRows, int kVectors>
  static inline __attribute__((always_inline)) void MultiplyAdd(Vector (&acc)[kRows][kVectors], const Vector* x,
                                                                const float* weights) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vector weight = _mm256_broadcast_ss(weights + r);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) acc[r][v] = _mm256_fmadd_ps(x[v], weight, acc[r][v]);
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

}  // namespace avx2
}  // namespace tfprune
