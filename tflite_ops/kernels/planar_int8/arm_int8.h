// SPDX-License-Identifier: Apache-2.0
// What NEON with and without the dot product share. Included once, inside the namespace of one ISA file.

struct ArmBase {
  using Vector = int32x4_t;
  using Bytes = int8x16_t;
  static constexpr int kLanes = 4;
  static constexpr uint8_t kFlip = 0;
  static constexpr uint8_t kWidenPercent = 85;

  static Bytes LoadBytes(const uint8_t* p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }

  // Four registers by one instruction. The address is hidden from the compiler, or it would add the operand's offset
  // anew for every four.
  template <int kVectors>
  static inline __attribute__((always_inline)) void LoadQuads(const uint8_t* p, Bytes* x) {
    constexpr int kFours = kVectors / 4;
    if (kFours > 1) __asm__("" : "+r"(p));
#pragma GCC unroll 2
    for (int f = 0; f < kFours; ++f) {
      const int8x16x4_t four = vld1q_s8_x4(reinterpret_cast<const int8_t*>(p) + 64 * f);
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) x[4 * f + v] = four.val[v];
    }
#pragma GCC unroll 4
    for (int v = 4 * kFours; v < kVectors; ++v) x[v] = LoadBytes(p + 16 * v);
  }

  static inline __attribute__((always_inline)) void Interleave(const uint8_t* p0, const uint8_t* p1, const uint8_t* p2,
                                                               const uint8_t* p3, Bytes* x) {
    const Bytes a = LoadBytes(p0), b = LoadBytes(p1), c = LoadBytes(p2), d = LoadBytes(p3);
    const int16x8_t low_ab = vreinterpretq_s16_s8(vzip1q_s8(a, b)), high_ab = vreinterpretq_s16_s8(vzip2q_s8(a, b));
    const int16x8_t low_cd = vreinterpretq_s16_s8(vzip1q_s8(c, d)), high_cd = vreinterpretq_s16_s8(vzip2q_s8(c, d));
    x[0] = vreinterpretq_s8_s16(vzip1q_s16(low_ab, low_cd));
    x[1] = vreinterpretq_s8_s16(vzip2q_s16(low_ab, low_cd));
    x[2] = vreinterpretq_s8_s16(vzip1q_s16(high_ab, high_cd));
    x[3] = vreinterpretq_s8_s16(vzip2q_s16(high_ab, high_cd));
  }
  static void Reorder(Vector*) {}

  // A table of 64 bytes and sixteen look-ups in it. Each pointer is moved on by the instruction that uses it.
  static inline __attribute__((always_inline)) void Pick(const uint8_t** x, const uint8_t** places, size_t count,
                                                         uint8_t** to) {
    if (count <= 32) {
      __asm__ volatile(
          "ld1 {v4.16b-v7.16b}, [%0], #64\n"
          "ld1 {v2.16b, v3.16b}, [%1], %3\n"
          "tbl v0.16b, {v4.16b-v7.16b}, v2.16b\n"
          "tbl v1.16b, {v4.16b-v7.16b}, v3.16b\n"
          "st1 {v0.16b, v1.16b}, [%2], %3\n"
          : "+r"(*x), "+r"(*places), "+r"(*to)
          : "r"(count)
          : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "memory");
      return;
    }
    const uint8x16x4_t window = vld1q_u8_x4(*x);
#pragma GCC unroll 4
    for (int i = 0; i < 64; i += 16) vst1q_u8(*to + i, vqtbl4q_u8(window, vld1q_u8(*places + i)));
    *x += kPixelWindow, *places += count, *to += count;
  }

  // Lane l gets operand l / kWidth of those at `x`.
  template <int kWidth>
  static inline __attribute__((always_inline)) Bytes Spread(const uint8_t* x) {
    const int32x4_t operands = vld1q_s32(reinterpret_cast<const int32_t*>(x));
    if constexpr (kWidth == 1) return vreinterpretq_s8_s32(operands);
    return vreinterpretq_s8_s32(kWidth == 2 ? vzip1q_s32(operands, operands) : vdupq_laneq_s32(operands, 0));
  }

  // Narrowing saturates, so the clamp comes last, on sixteen values at a time; `low` and `high` are whole numbers.
  static inline __attribute__((always_inline)) int16x4_t Rounded(Vector total, float factor) {
    return vqmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(vcvtq_f32_s32(total), factor)));
  }

  struct Clamp {
    int16x8_t zero;
    int8x16_t lowest, highest;
    Clamp(float low, float high, int32_t zero_point)
        : zero(vdupq_n_s16(static_cast<int16_t>(zero_point))),
          lowest(vdupq_n_s8(Bound(low, zero_point))),
          highest(vdupq_n_s8(Bound(high, zero_point))) {}
    // Infinite for float output, which does not use it.
    static int8_t Bound(float value, int32_t zero_point) {
      const int32_t bound = vcvtns_s32_f32(value);
      return static_cast<int8_t>(bound >= -256 && bound <= 256 ? bound + zero_point : 0);
    }
  };

  template <int kVectors>
  static inline __attribute__((always_inline)) void ToBytes(int8_t* out, const Vector* total, float factor,
                                                            const Clamp& clamp) {
    constexpr int kFours = kVectors / 4;
#pragma GCC unroll 2
    for (int f = 0; f < kFours; ++f) {
      int16x8_t words[2];
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const Vector* two = total + 4 * f + 2 * half;
        words[half] = vqaddq_s16(vcombine_s16(Rounded(two[0], factor), Rounded(two[1], factor)), clamp.zero);
      }
      const int8x16_t bytes = vcombine_s8(vqmovn_s16(words[0]), vqmovn_s16(words[1]));
      vst1q_s8(out + 16 * f, vminq_s8(vmaxq_s8(bytes, clamp.lowest), clamp.highest));
    }
#pragma GCC unroll 4
    for (int v = 4 * kFours; v < kVectors; ++v) {
      const int16x4_t words = Rounded(total[v], factor);
      const int8x8_t bytes = vqmovn_s16(vqaddq_s16(vcombine_s16(words, words), clamp.zero));
      const int8x8_t clamped = vmin_s8(vmax_s8(bytes, vget_low_s8(clamp.lowest)), vget_low_s8(clamp.highest));
      const int32_t four = vget_lane_s32(vreinterpret_s32_s8(clamped), 0);
      memcpy(out + 4 * v, &four, 4);
    }
  }

  static inline __attribute__((always_inline)) void ToFloats(float* out, Vector total, int32_t row_sum,
                                                             const int32_t* zero_points, const float* position_scales,
                                                             float scale, float bias, float low, float high) {
    const float32x4_t sum = vcvtq_f32_s32(vmlsq_n_s32(total, vld1q_s32(zero_points), row_sum));
    const float32x4_t scaled = vmulq_n_f32(vmulq_f32(sum, vld1q_f32(position_scales)), scale);
    const float32x4_t value = vaddq_f32(scaled, vdupq_n_f32(bias));
    vst1q_f32(out, vminq_f32(vmaxq_f32(value, vdupq_n_f32(low)), vdupq_n_f32(high)));
  }
};
