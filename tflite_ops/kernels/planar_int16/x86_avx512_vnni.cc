// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>
#include <string.h>

#include "tflite_ops/kernels/planar_int16/planar_int16.h"

namespace tfprune {
namespace avx512_vnni {
namespace {

#include "tflite_ops/kernels/planar_int16/x86_pairs.h"

struct Simd : X86Pixel {
  static constexpr char kName[] = "planes_int16/avx512_vnni", kPixelName[] = "pixel_int16/avx512_vnni";
  using Vector = __m512i;
  using Pairs = __m512i;
  static constexpr int kLanes = 16;
  static constexpr uint32_t kTile = 64;
  static constexpr int kVectorsOfFour = 4, kVectorsOfTwo = 4, kVectorsOfOne = 4;

  static Vector Zero() { return _mm512_setzero_si512(); }
  static __m512i Load(const void* p) { return _mm512_loadu_si512(p); }

  // Of 128-bit block b, pairs of vector v hold positions 32 * (v / 2) + 8 * b + 4 * (v % 2) .. + 3.
  template <int kVectors>
  static inline __attribute__((always_inline)) void LoadPairs(const uint8_t* p0, const uint8_t* p1, Pairs* x) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v += 2) {
      const __m512i first = Load(p0 + 32 * v), second = Load(p1 + 32 * v);
      x[v] = _mm512_unpacklo_epi16(first, second);
      x[v + 1] = _mm512_unpackhi_epi16(first, second);
    }
  }
  template <int kVectors>
  static inline __attribute__((always_inline)) void Reorder(Vector* sum) {
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v += 2) {
      const Vector low = sum[v], high = sum[v + 1];
      sum[v] = _mm512_permutex2var_epi64(low, first, high);
      sum[v + 1] = _mm512_permutex2var_epi64(low, second, high);
    }
  }

  template <int kRows, int kVectors>
  static inline __attribute__((always_inline)) void Multiply(Vector (&sum)[kRows][kVectors], const Pairs* x,
                                                             const int16_t* weights) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      int32_t pair;
      memcpy(&pair, weights + kPairCells * r, sizeof(pair));
      const __m512i weight = _mm512_set1_epi32(pair);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = _mm512_dpwssd_epi32(sum[r][v], x[v], weight);
    }
  }

  static void AddTo(int32_t* to, Vector sum) { _mm512_storeu_si512(to, _mm512_add_epi32(Load(to), sum)); }
};

#include "tflite_ops/kernels/planar_int16/generic.h"

}  // namespace

Int16KernelSet GetInt16Kernels() { return Int16Set<Simd>(); }

}  // namespace avx512_vnni
}  // namespace tfprune
