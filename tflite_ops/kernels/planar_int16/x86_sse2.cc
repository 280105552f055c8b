// SPDX-License-Identifier: Apache-2.0
#include <emmintrin.h>
#include <string.h>

#include "tflite_ops/kernels/planar_int16/planar_int16.h"

namespace tfprune {
namespace sse2 {
namespace {

#include "tflite_ops/kernels/planar_int16/x86_pairs.h"

struct Simd : X86Pixel {
  static constexpr char kName[] = "planes_int16/sse2", kPixelName[] = "pixel_int16/sse2";
  using Vector = __m128i;
  using Pairs = __m128i;
  static constexpr int kLanes = 4;
  static constexpr uint32_t kTile = 32;
  // 16 registers: eight sums leave room for inputs and weights.
  static constexpr int kVectorsOfFour = 2, kVectorsOfTwo = 4, kVectorsOfOne = 4;

  static Vector Zero() { return _mm_setzero_si128(); }
  static __m128i Load(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }

  template <int kVectors>
  static inline __attribute__((always_inline)) void LoadPairs(const uint8_t* p0, const uint8_t* p1, Pairs* x) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v += 2) {
      const __m128i first = Load(p0 + 8 * v), second = Load(p1 + 8 * v);
      x[v] = _mm_unpacklo_epi16(first, second);
      x[v + 1] = _mm_unpackhi_epi16(first, second);
    }
  }
  template <int kVectors>
  static void Reorder(Vector*) {}

  template <int kRow, int kVectors>
  static inline __attribute__((always_inline)) void AddRow(Vector (&sum)[kVectors], const Pairs* x, __m128i rows) {
    const __m128i weight = _mm_shuffle_epi32(rows, kRow * 0x55);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[v] = _mm_add_epi32(sum[v], _mm_madd_epi16(x[v], weight));
  }

  template <int kRows, int kVectors>
  static inline __attribute__((always_inline)) void Multiply(Vector (&sum)[kRows][kVectors], const Pairs* x,
                                                             const int16_t* weights) {
    if constexpr (kRows == 4) {
      const __m128i rows = Load(weights);
      AddRow<0, kVectors>(sum[0], x, rows);
      AddRow<1, kVectors>(sum[1], x, rows);
      AddRow<2, kVectors>(sum[2], x, rows);
      AddRow<3, kVectors>(sum[3], x, rows);
    } else {
#pragma GCC unroll 2
      for (int r = 0; r < kRows; ++r) {
        int32_t pair;
        memcpy(&pair, weights + kPairCells * r, sizeof(pair));
        AddRow<0, kVectors>(sum[r], x, _mm_cvtsi32_si128(pair));
      }
    }
  }

  static void AddTo(int32_t* to, Vector sum) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_add_epi32(Load(to), sum));
  }
};

#include "tflite_ops/kernels/planar_int16/generic.h"

}  // namespace

Int16KernelSet GetInt16Kernels() { return Int16Set<Simd>(); }

}  // namespace sse2
}  // namespace tfprune
