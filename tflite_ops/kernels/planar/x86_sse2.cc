// SPDX-License-Identifier: Apache-2.0
#include <emmintrin.h>

#include "tflite_ops/kernels/planar/planar.h"

namespace tfprune {
namespace sse2 {
namespace {

struct Simd {
  using Vector = __m128;
  static constexpr int kLanes = 4;
  static constexpr char kRowBandName[] = "row_band/sse2";
  static constexpr char kRowBandSingleName[] = "row_band_single/sse2";
  static constexpr char kSlidingName[] = "sliding_row/sse2";
  static constexpr char kSlidingSingleName[] = "sliding_row_single/sse2";
  static constexpr char kSlidingAnyName[] = "sliding_row_any/sse2";
  static constexpr char kBlockRowsName[] = "block_rows/sse2";
  static constexpr char kBlockRowsSingleName[] = "block_rows_single/sse2";
  static constexpr char kBlockColumnsName[] = "block_columns/sse2";
  static constexpr char kBlockColumnsSingleName[] = "block_columns_single/sse2";
  // Sums of blocks: rows by vectors in registers.
  static constexpr int kMostBlockRows = 4, kBlockVectors = 2;
  static constexpr bool kWeightsByLane = false;
  static constexpr bool kLoadsInPairs = false;
  static constexpr bool kFewRowsElsewhere = false;
  static constexpr size_t kBlockPositions = 0;
  // 16 registers: four rows by two vectors leave room for the inputs and a weight.
  static constexpr int kMostBandRows = 4;
  static constexpr int VectorsFor(int rows) { return rows <= 2 ? 4 : rows == 4 ? 2 : 1; }
  static Vector Zero() { return _mm_setzero_ps(); }
  static Vector Set(float value) { return _mm_set1_ps(value); }
  static Vector Load(const float* p) { return _mm_loadu_ps(p); }
  static void Store(float* p, Vector v) { _mm_storeu_ps(p, v); }
  // max and min return their second operand where one is NaN: a NaN passes through, as in the dense op.
  static Vector Clamp(Vector v, Vector low, Vector high) { return _mm_min_ps(high, _mm_max_ps(low, v)); }
  static Vector MultiplyAddOne(Vector acc, Vector x, float weight) {
    return _mm_add_ps(acc, _mm_mul_ps(x, _mm_set1_ps(weight)));
  }

  static Vector Add(Vector a, Vector b) { return _mm_add_ps(a, b); }
  static Vector Even(Vector a, Vector b) { return _mm_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)); }
  static Vector LoadPartial(const float* p, size_t n) {
    float lanes[kLanes] = {};
    for (size_t i = 0; i < n; ++i) lanes[i] = p[i];
    return _mm_loadu_ps(lanes);
  }

  static void StorePartial(float* p, Vector v, size_t n) {
    float lanes[kLanes];
    _mm_storeu_ps(lanes, v);
    for (size_t i = 0; i < n; ++i) p[i] = lanes[i];
  }

  static inline __attribute__((always_inline)) void Transpose(Vector* v) { _MM_TRANSPOSE4_PS(v[0], v[1], v[2], v[3]); }

  template <int kRows, int kVectors>
  static inline __attribute__((always_inline)) void MultiplyAdd(Vector (&acc)[kRows][kVectors], const Vector* x,
                                                                const float* weights) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vector weight = _mm_set1_ps(weights[r]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) acc[r][v] = _mm_add_ps(acc[r][v], _mm_mul_ps(x[v], weight));
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

}  // namespace sse2
}  // namespace tfprune
