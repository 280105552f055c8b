// SPDX-License-Identifier: Apache-2.0
// What NEON with and without the dot product share. Included once, inside the namespace of one ISA file.

struct ArmBase {
  using Vector = int32x4_t;
  using Bytes = int8x16_t;
  static constexpr int kLanes = 4;
  static constexpr uint8_t kFlip = 0;

  static Bytes LoadBytes(const uint8_t* p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }

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

  static inline __attribute__((always_inline)) int32x4_t Rounded(Vector total, float factor, float32x4_t low,
                                                                 float32x4_t high, int32x4_t zero) {
    const float32x4_t value = vmulq_n_f32(vcvtq_f32_s32(total), factor);
    return vaddq_s32(vcvtnq_s32_f32(vminq_f32(vmaxq_f32(value, low), high)), zero);
  }

  template <int kVectors>
  static inline __attribute__((always_inline)) void ToBytes(int8_t* out, const Vector* total, float factor, float low,
                                                            float high, int32_t zero_point) {
    const float32x4_t lowest = vdupq_n_f32(low), highest = vdupq_n_f32(high);
    const int32x4_t zero = vdupq_n_s32(zero_point);
    constexpr int kQuads = kVectors / 4;
#pragma GCC unroll 2
    for (int q = 0; q < kQuads; ++q) {
      int16x8_t words[2];
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const int32x4_t first = Rounded(total[4 * q + 2 * half], factor, lowest, highest, zero);
        const int32x4_t second = Rounded(total[4 * q + 2 * half + 1], factor, lowest, highest, zero);
        words[half] = vuzp1q_s16(vreinterpretq_s16_s32(first), vreinterpretq_s16_s32(second));
      }
      vst1q_s8(out + 16 * q, vuzp1q_s8(vreinterpretq_s8_s16(words[0]), vreinterpretq_s8_s16(words[1])));
    }
#pragma GCC unroll 4
    for (int v = 4 * kQuads; v < kVectors; ++v) {
      const int16x4_t words = vmovn_s32(Rounded(total[v], factor, lowest, highest, zero));
      const int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
      const int32_t four = vget_lane_s32(vreinterpret_s32_s8(bytes), 0);
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
