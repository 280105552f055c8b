// SPDX-License-Identifier: Apache-2.0
// NEON with the dot product of Armv8.2. Included once, inside the namespace of an ISA file, behind arm_int8.h.

struct Dotprod : ArmBase {
  static constexpr char kPixelName[] = "row_band_single_int8/neon_dotprod";
  using Sum = int32x4_t;
  static Sum Start(int32_t value) { return vdupq_n_s32(value); }
  static Vector Total(Sum sum) { return sum; }
  // Four rows take their operand as a lane of sixteen bytes: no instruction spreads it.
  template <int kWidth, int kIndex>
  static inline __attribute__((always_inline)) Sum DotPixel(Sum sum, const uint8_t* x, Bytes weights) {
    if constexpr (kWidth == 4) return vdotq_laneq_s32(sum, weights, LoadBytes(x), kIndex);
    return vdotq_s32(sum, Spread<kWidth>(x + kIndex * (16 / kWidth)), weights);
  }

  template <int kLane, int kVectors>
  static inline __attribute__((always_inline)) void AddRow(Sum (&sum)[kVectors], const Bytes* x, Bytes weights) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[v] = vdotq_laneq_s32(sum[v], x[v], weights, kLane);
  }

  template <int kRows, int kVectors>
  static inline __attribute__((always_inline)) void Dot(Sum (&sum)[kRows][kVectors], const Bytes* x,
                                                        const int8_t* weights) {
    constexpr int kFours = kRows / 4;
#pragma GCC unroll 4
    for (int f = 0; f < kFours; ++f) {
      const Bytes four = vld1q_s8(weights + 16 * f);
      AddRow<0, kVectors>(sum[4 * f], x, four);
      AddRow<1, kVectors>(sum[4 * f + 1], x, four);
      AddRow<2, kVectors>(sum[4 * f + 2], x, four);
      AddRow<3, kVectors>(sum[4 * f + 3], x, four);
    }
#pragma GCC unroll 4
    for (int r = 4 * kFours; r < kRows; ++r) {
      int32_t row;
      memcpy(&row, weights + 4 * r, 4);
      const Bytes weight = vreinterpretq_s8_s32(vdupq_n_s32(row));
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[r][v] = vdotq_s32(sum[r][v], x[v], weight);
    }
  }

  // Weights of one or two rows fill a register with those of four or two operands.
  template <int kRows, int kVectors, int kIndex>
  static inline __attribute__((always_inline)) void DotBatch(Sum (&sum)[kRows][kVectors], const Bytes* x,
                                                             const int8_t* weights) {
    if constexpr (kRows <= 2) {
      const Bytes all = vld1q_s8(weights);
      AddRow<kRows * kIndex, kVectors>(sum[0], x, all);
      if constexpr (kRows == 2) AddRow<kRows * kIndex + 1, kVectors>(sum[1], x, all);
    } else {
      Dot<kRows, kVectors>(sum, x, weights + kIndex * kRows * 4);
    }
  }
};
