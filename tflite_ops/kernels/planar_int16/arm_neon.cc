// SPDX-License-Identifier: Apache-2.0
#include <arm_neon.h>
#include <string.h>

#include "tflite_ops/kernels/planar_int16/planar_int16.h"

namespace tfprune {
namespace neon {
namespace {

struct Simd {
  static constexpr char kName[] = "planes_int16/neon", kPixelName[] = "pixel_int16/neon";
  using Vector = int32x4_t;
  // The multiply-add widens half a register: vectors 2 * i and 2 * i + 1 share columns, and stay in order.
  struct Pairs {
    int16x8_t first, second;
  };
  static constexpr int kLanes = 4;
  static constexpr uint32_t kTile = 32;
  static constexpr int kVectorsOfFour = 4, kVectorsOfTwo = 8, kVectorsOfOne = 8;

  static Vector Zero() { return vdupq_n_s32(0); }

  template <int kVectors>
  static inline __attribute__((always_inline)) void LoadPairs(const uint8_t* p0, const uint8_t* p1, Pairs* x) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v += 2) {
      x[v / 2].first = vreinterpretq_s16_u8(vld1q_u8(p0 + 8 * v));
      x[v / 2].second = vreinterpretq_s16_u8(vld1q_u8(p1 + 8 * v));
    }
  }
  template <int kVectors>
  static void Reorder(Vector*) {}

  // The weights of row kRow are lanes 2 * kRow and 2 * kRow + 1.
  template <int kRow, int kVectors>
  static inline __attribute__((always_inline)) void AddRow(Vector (&sum)[kVectors], const Pairs* x, int16x8_t weights) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v += 2) {
      const Pairs& pairs = x[v / 2];
      sum[v] = vmlal_laneq_s16(sum[v], vget_low_s16(pairs.first), weights, 2 * kRow);
      sum[v + 1] = vmlal_high_laneq_s16(sum[v + 1], pairs.first, weights, 2 * kRow);
      sum[v] = vmlal_laneq_s16(sum[v], vget_low_s16(pairs.second), weights, 2 * kRow + 1);
      sum[v + 1] = vmlal_high_laneq_s16(sum[v + 1], pairs.second, weights, 2 * kRow + 1);
    }
  }

  template <int kRows, int kVectors>
  static inline __attribute__((always_inline)) void Multiply(Vector (&sum)[kRows][kVectors], const Pairs* x,
                                                             const int16_t* weights) {
    if constexpr (kRows == 4) {
      const int16x8_t rows = vld1q_s16(weights);
      AddRow<0, kVectors>(sum[0], x, rows);
      AddRow<1, kVectors>(sum[1], x, rows);
      AddRow<2, kVectors>(sum[2], x, rows);
      AddRow<3, kVectors>(sum[3], x, rows);
    } else {
#pragma GCC unroll 2
      for (int r = 0; r < kRows; ++r) {
        int32_t pair;
        memcpy(&pair, weights + kPairCells * r, sizeof(pair));
        AddRow<0, kVectors>(sum[r], x, vreinterpretq_s16_s32(vdupq_n_s32(pair)));
      }
    }
  }

  static void AddTo(int32_t* to, Vector sum) { vst1q_s32(to, vaddq_s32(vld1q_s32(to), sum)); }

  using Four = int32x4_t;
  using Inputs = int16x8_t;
  static Four ZeroFour() { return vdupq_n_s32(0); }
  static Inputs Spread(uint32_t pair) { return vreinterpretq_s16_u32(vdupq_n_u32(pair)); }
  static Inputs Gather(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    const uint32_t four[4] = {a, b, c, d};
    return vreinterpretq_s16_u32(vld1q_u32(four));
  }
  static Four MultiplyFour(Four sum, const int16_t* weights, Inputs pairs) {
    const int16x8_t four = vld1q_s16(weights);
    const int32x4_t low = vmull_s16(vget_low_s16(four), vget_low_s16(pairs));
    return vaddq_s32(sum, vpaddq_s32(low, vmull_high_s16(four, pairs)));
  }
  static void StoreFour(int32_t* to, Four sum) { vst1q_s32(to, sum); }
};

#include "tflite_ops/kernels/planar_int16/generic.h"

}  // namespace

Int16KernelSet GetInt16Kernels() { return Int16Set<Simd>(); }

}  // namespace neon
}  // namespace tfprune
