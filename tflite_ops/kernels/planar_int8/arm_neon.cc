// SPDX-License-Identifier: Apache-2.0
#include <arm_neon.h>
#include <string.h>

#include <utility>

#include "tflite_ops/kernels/planar_int8/planar_int8.h"

namespace tfprune {
namespace neon {
namespace {

#include "tflite_ops/kernels/planar_int8/arm_int8.h"
#include "tflite_ops/kernels/planar_int8/transpose.h"

// For processors before Armv8.2's dot product: smull multiplies eight bytes (two positions) exactly in 16 bits, sadalp
// adds pairs of the products to 32 bits. A position's sum lies in two neighbouring lanes until the end.
struct Simd : ArmBase {
  static constexpr char kPixelName[] = "row_band_single_int8/neon";
  struct Sum {
    int32x4_t low, high;  // positions 0 and 1, positions 2 and 3
  };
  static Sum Start(int32_t value) {
    // Half of each pair: the pair's sum starts at `value`.
    const int32x4_t start = vreinterpretq_s32_u64(vdupq_n_u64(static_cast<uint32_t>(value)));
    return {start, start};
  }
  static Vector Total(const Sum& sum) { return vpaddq_s32(sum.low, sum.high); }
  template <int kWidth, int kIndex>
  static inline __attribute__((always_inline)) Sum DotPixel(Sum sum, const uint8_t* inputs, Bytes weights) {
    const Bytes x = Spread<kWidth>(inputs + kIndex * (16 / kWidth));
    sum.low = vpadalq_s16(sum.low, vmull_s8(vget_low_s8(x), vget_low_s8(weights)));
    sum.high = vpadalq_s16(sum.high, vmull_high_s8(x, weights));
    return sum;
  }

  template <int kRows, int kVectors>
  static inline __attribute__((always_inline)) void Dot(Sum (&sum)[kRows][kVectors], const Bytes* x,
                                                        const int8_t* weights) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      int32_t row;
      memcpy(&row, weights + 4 * r, 4);
      const Bytes weight = vreinterpretq_s8_s32(vdupq_n_s32(row));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v].low = vpadalq_s16(sum[r][v].low, vmull_s8(vget_low_s8(x[v]), vget_low_s8(weight)));
        sum[r][v].high = vpadalq_s16(sum[r][v].high, vmull_high_s8(x[v], weight));
      }
    }
  }

  template <int kRows, int kVectors, int kIndex>
  static inline __attribute__((always_inline)) void DotBatch(Sum (&sum)[kRows][kVectors], const Bytes* x,
                                                             const int8_t* weights) {
    Dot<kRows, kVectors>(sum, x, weights + kIndex * kRows * 4);
  }
};

#include "tflite_ops/kernels/planar_int8/generic.h"

// 32 registers: sums take two registers for four positions.
Int8Kernel TileKernel(Encoding encoding, uint32_t group_rows, Int8Layout layout) {
  constexpr Int8Layout kQuads = Int8Layout::kQuads, kPlanes = Int8Layout::kPlanes;
  if (encoding == Encoding::kRowBand) {
    if (layout == kPlanes) {
      if (group_rows == 1) return Int8RowBand<Simd, 1, 4, kPlanes>(group_rows, "row_band_planes/neon");
      return Int8RowBand<Simd, 2, 4, kPlanes>(group_rows, "row_band_planes/neon");
    }
    if (group_rows == 1) return Int8RowBand<Simd, 1, 4, kQuads>(group_rows, "row_band_quads/neon");
    if (group_rows == 2) return Int8RowBand<Simd, 2, 4, kQuads>(group_rows, "row_band_quads/neon");
    return Int8RowBand<Simd, 4, 2, kQuads>(group_rows, "row_band_quads/neon");
  }
  if (layout == kPlanes) {
    if (group_rows == 1) return Int8Sliding<Simd, 1, 4, kPlanes>("sliding_row_planes/neon");
    if (group_rows == 2) return Int8Sliding<Simd, 2, 4, kPlanes>("sliding_row_planes/neon");
    return Int8SlidingAny<Simd, 4, kPlanes>("sliding_row_any_planes/neon");
  }
  if (group_rows == 1) return Int8Sliding<Simd, 1, 4, kQuads>("sliding_row_quads/neon");
  if (group_rows == 2) return Int8Sliding<Simd, 2, 4, kQuads>("sliding_row_quads/neon");
  if (group_rows == 4) return Int8Sliding<Simd, 4, 2, kQuads>("sliding_row_quads/neon");
  if (group_rows == 8) return Int8Sliding<Simd, 8, 1, kQuads>("sliding_row_quads/neon");
  return Int8SlidingAny<Simd, 4, kQuads>("sliding_row_any_quads/neon");
}

}  // namespace

Int8KernelSet GetInt8Kernels(Encoding encoding, uint32_t group_rows, Int8Layout layout, uint32_t) {
  return Int8Set<Simd>(encoding, TileKernel(encoding, group_rows, layout));
}

}  // namespace neon
}  // namespace tfprune
