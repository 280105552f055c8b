// SPDX-License-Identifier: Apache-2.0
// NHWC float32 to float16 planes and back. Included once, inside the namespace of one ISA file.

using Half = float16_t;
using Vector = float16x8_t;
constexpr int kLanes = 8;

inline __attribute__((always_inline)) Vector Narrow(const float* p) {
  return vcombine_f16(vcvt_f16_f32(vld1q_f32(p)), vcvt_f16_f32(vld1q_f32(p + 4)));
}

inline __attribute__((always_inline)) Vector NarrowPartial(const float* p, size_t n) {
  float lanes[kLanes] = {};
  for (size_t i = 0; i < n; ++i) lanes[i] = p[i];
  return Narrow(lanes);
}

inline __attribute__((always_inline)) void Widen(float* p, Vector v) {
  vst1q_f32(p, vcvt_f32_f16(vget_low_f16(v)));
  vst1q_f32(p + 4, vcvt_high_f32_f16(v));
}

inline __attribute__((always_inline)) void WidenPartial(float* p, Vector v, size_t n) {
  float lanes[kLanes];
  Widen(lanes, v);
  for (size_t i = 0; i < n; ++i) p[i] = lanes[i];
}

// Eight vectors of eight: pairs of values, then of pairs, then of halves change places.
inline __attribute__((always_inline)) void Transpose(Vector* v) {
  uint32x4_t pairs[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = vreinterpretq_u32_f16(vtrn1q_f16(v[i], v[i + 1]));
    pairs[i + 1] = vreinterpretq_u32_f16(vtrn2q_f16(v[i], v[i + 1]));
  }
  uint64x2_t fours[8];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const int i = j < 2 ? j : j + 2;
    fours[i] = vreinterpretq_u64_u32(vtrn1q_u32(pairs[i], pairs[i + 2]));
    fours[i + 2] = vreinterpretq_u64_u32(vtrn2q_u32(pairs[i], pairs[i + 2]));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    v[i] = vreinterpretq_f16_u64(vtrn1q_u64(fours[i], fours[i + 4]));
    v[i + 4] = vreinterpretq_f16_u64(vtrn2q_u64(fours[i], fours[i + 4]));
  }
}

inline void ToPlanar(const float* in, size_t in_stride, size_t count, size_t channels, float* planes,
                     size_t out_stride) {
  Half* out = reinterpret_cast<Half*>(planes);
  for (size_t p = 0; p < count; p += kLanes) {
    const size_t positions = count - p < kLanes ? count - p : kLanes;
    for (size_t c = 0; c < channels; c += kLanes) {
      const size_t block = channels - c < kLanes ? channels - c : kLanes;
      const float* from = in + p * in_stride + c;
      Vector v[kLanes];
      if (positions == kLanes && block == kLanes) {
#pragma GCC unroll 8
        for (int i = 0; i < kLanes; ++i) v[i] = Narrow(from + i * in_stride);
      } else {
        for (size_t i = 0; i < kLanes; ++i) {
          v[i] = i < positions ? NarrowPartial(from + i * in_stride, block) : vdupq_n_f16(0);
        }
      }
      Transpose(v);
      for (size_t i = 0; i < block; ++i) vst1q_f16(out + (c + i) * out_stride + p, v[i]);
    }
  }
}

inline void FromPlanar(const Half* in, size_t in_stride, size_t count, size_t channels, float* out, size_t out_stride) {
  for (size_t p = 0; p < count; p += kLanes) {
    const size_t positions = count - p < kLanes ? count - p : kLanes;
    for (size_t c = 0; c < channels; c += kLanes) {
      const size_t block = channels - c < kLanes ? channels - c : kLanes;
      const Half* from = in + c * in_stride + p;
      float* to = out + p * out_stride + c;
      Vector v[kLanes];
      for (size_t i = 0; i < kLanes; ++i) v[i] = i < block ? vld1q_f16(from + i * in_stride) : vdupq_n_f16(0);
      Transpose(v);
      for (size_t i = 0; i < positions; ++i) {
        if (block == kLanes) {
          Widen(to + i * out_stride, v[i]);
        } else {
          WidenPartial(to + i * out_stride, v[i], block);
        }
      }
    }
  }
}

inline void ToHalves(const float* in, size_t count, uint16_t* out) {
  for (size_t i = 0; i < count; ++i) {
    const Half half = static_cast<Half>(in[i]);
    memcpy(out + i, &half, sizeof(half));
  }
}
