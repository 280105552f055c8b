// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>
#include <string.h>

#include "tflite_ops/kernels/planar_int16/planar_int16.h"

namespace tfprune {
namespace avx2 {
namespace {

#include "tflite_ops/kernels/planar_int16/x86_pairs.h"

struct Simd : X86Pixel {
  static constexpr char kName[] = "planes_int16/avx2", kPixelName[] = "pixel_int16/avx2";
  using Vector = __m256i;
  using Pairs = __m256i;
  static constexpr int kLanes = 8;
  static constexpr uint32_t kTile = 64;
  // 16 registers: eight sums leave room for inputs and weights.
  static constexpr int kVectorsOfFour = 2, kVectorsOfTwo = 4, kVectorsOfOne = 4;

  static Vector Zero() { return _mm256_setzero_si256(); }
  static __m256i Load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

  // Of 128-bit block b, pairs of vector v hold positions 16 * (v / 2) + 8 * b + 4 * (v % 2) .. + 3.
  template <int kVectors>
  static inline __attribute__((always_inline)) void LoadPairs(const uint8_t* p0, const uint8_t* p1, Pairs* x) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v += 2) {
      const __m256i first = Load(p0 + 16 * v), second = Load(p1 + 16 * v);
      x[v] = _mm256_unpacklo_epi16(first, second);
      x[v + 1] = _mm256_unpackhi_epi16(first, second);
    }
  }
  template <int kVectors>
  static inline __attribute__((always_inline)) void Reorder(Vector* sum) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v += 2) {
      const Vector low = sum[v], high = sum[v + 1];
      sum[v] = _mm256_permute2x128_si256(low, high, 0x20);
      sum[v + 1] = _mm256_permute2x128_si256(low, high, 0x31);
    }
  }

  template <int kRows, int kVectors>
  static inline __attribute__((always_inline)) void Multiply(Vector (&sum)[kRows][kVectors], const Pairs* x,
                                                             const int16_t* weights) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      int32_t pair;
      memcpy(&pair, weights + kPairCells * r, sizeof(pair));
      const __m256i weight = _mm256_set1_epi32(pair);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = _mm256_add_epi32(sum[r][v], _mm256_madd_epi16(x[v], weight));
    }
  }

  static void AddTo(int32_t* to, Vector sum) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_add_epi32(Load(to), sum));
  }
};

#include "tflite_ops/kernels/planar_int16/generic.h"

}  // namespace

Int16KernelSet GetInt16Kernels() { return Int16Set<Simd>(); }

}  // namespace avx2
}  // namespace tfprune
