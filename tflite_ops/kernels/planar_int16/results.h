// SPDX-License-Identifier: Apache-2.0
// Sums as outputs: the formulas of Requantize on four positions at a time. Written with the compilers' vector
// extensions: each operation becomes instructions of the set that the including file is compiled for.
//
// No include guard on purpose: generic.h includes it once, inside the namespace of an ISA file.

typedef int32_t Int4 __attribute__((vector_size(16)));
typedef float Float4 __attribute__((vector_size(16)));
typedef int64_t Long4 __attribute__((vector_size(32)));
typedef double Double4 __attribute__((vector_size(32)));
typedef int16_t Short4 __attribute__((vector_size(8)));

inline __attribute__((always_inline)) Int4 LoadInt4(const int32_t* from) {
  Int4 four;
  memcpy(&four, from, sizeof(four));
  return four;
}

inline __attribute__((always_inline)) void StoreShort4(int16_t* to, Int4 values) {
  const Short4 shorts = __builtin_convertvector(values, Short4);
  memcpy(to, &shorts, sizeof(shorts));
}

// XNNPACK's: float32, ties to even.
inline void FinishFloat(const Int16FinishArgs& a) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23: its neighbours are whole numbers
  const float factor = static_cast<float>(a.rule.factor);
  const Float4 low = Float4{} + static_cast<float>(a.range.low), high = Float4{} + static_cast<float>(a.range.high);
  const int32_t bias = static_cast<int32_t>(a.rule.bias);
  for (size_t p = 0; p < a.count; p += 4) {
    const Float4 value = __builtin_convertvector(LoadInt4(a.sums + p) + bias, Float4) * factor;
    const Float4 raised = value < low ? low : value;
    const Float4 clamped = raised > high ? high : raised;
    const Float4 shifted = clamped + kShift;
    const Float4 rounded = shifted - kShift;
    StoreShort4(a.out + p, __builtin_convertvector(rounded, Int4) + a.range.zero_point);
  }
}

// kFloor: value + half rounded down; else ties away from zero. The clamp comes first, so that 32 bits hold the rest.
template <bool kFloor>
inline __attribute__((always_inline)) Int4 RoundDoubles(const Double4& exact, const RowRule& rule, double low,
                                                        double high) {
  const Double4 zero = {}, half = zero + rule.half, half_of_negative = zero + rule.half_of_negative;
  const Double4 value = kFloor ? exact + (exact < zero ? half_of_negative : half) : exact;
  const Double4 lowest = zero + low, highest = zero + high;
  const Double4 raised = value < lowest ? lowest : value;
  const Double4 clamped = raised > highest ? highest : raised;
  const Int4 whole = __builtin_convertvector(clamped, Int4);
  const Double4 back = __builtin_convertvector(whole, Double4);
  if (kFloor) return whole + __builtin_convertvector(back > clamped, Int4);
  const Double4 rest = clamped - back;
  const Long4 up = rest >= 0.5, down = rest <= -0.5;
  return whole + __builtin_convertvector(down - up, Int4);
}

template <bool kFloor>
void FinishDouble(const Int16FinishArgs& a) {
  const double low = a.range.low, high = a.range.high, bias = static_cast<double>(a.rule.bias);
  // Held here: behind every store the compiler would load it from the arguments again.
  const RowRule rule = a.rule;
  const int32_t zero_point = a.range.zero_point;
  for (size_t p = 0; p < a.count; p += 4) {
    Double4 sum;
    if (a.wide == nullptr) {
      sum = __builtin_convertvector(LoadInt4(a.sums + p), Double4);
    } else {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) sum[i] = static_cast<double>(a.wide[p + i]);
    }
    StoreShort4(a.out + p, RoundDoubles<kFloor>((sum + bias) * rule.factor, rule, low, high) + zero_point);
  }
}

#if defined(__ARM_NEON)
// The two roundings of rules that have an `extra` (see RuleOf) as NEON has them; its shift rounds ties upward.
class TwoRoundings {
 public:
  static bool Fits(const RowRule& rule) { return rule.how == Requantization::kFloor && rule.half > 0.5; }

  TwoRoundings(const RowRule& rule, const OutputRange& range)
      : shift_(vdupq_n_s32(rule.shift)),
        away_(vdupq_n_s32(rule.half_of_negative < rule.half ? -1 : 0)),
        low_(vdupq_n_s32(range.low)),
        high_(vdupq_n_s32(range.high)),
        zero_point_(vdupq_n_s32(range.zero_point)),
        multiplier_(rule.multiplier) {}

  inline __attribute__((always_inline)) int16x4_t Of(int32x4_t sum) const {
    const int32x4_t first = vqrdmulhq_n_s32(sum, multiplier_);
    const int32x4_t fixed = vqaddq_s32(first, vandq_s32(vshrq_n_s32(first, 31), away_));
    const int32x4_t clipped = vminq_s32(vmaxq_s32(vrshlq_s32(fixed, shift_), low_), high_);
    return vmovn_s32(vaddq_s32(clipped, zero_point_));
  }

 private:
  const int32x4_t shift_, away_, low_, high_, zero_point_;
  const int32_t multiplier_;
};
#endif

void FinishRow(const Int16FinishArgs& a) {
  if (a.count > 1) {
#if defined(__ARM_NEON)
    if (TwoRoundings::Fits(a.rule) && a.wide == nullptr) {
      const TwoRoundings rounded(a.rule, a.range);
      const int32x4_t bias = vdupq_n_s32(static_cast<int32_t>(a.rule.bias));
      for (size_t p = 0; p < a.count; p += 4) vst1_s16(a.out + p, rounded.Of(vaddq_s32(vld1q_s32(a.sums + p), bias)));
      return;
    }
#endif
    if (a.rule.how == Requantization::kFloat) return FinishFloat(a);
    if (a.rule.how == Requantization::kFloor) return FinishDouble<true>(a);
    if (a.rule.how == Requantization::kDouble) return FinishDouble<false>(a);
  }
  for (size_t p = 0; p < a.count; ++p) {
    const int64_t sum = a.wide == nullptr ? a.sums[p] : a.wide[p];
    a.out[p] = static_cast<int16_t>(Requantize(a.rule, a.range, sum + a.rule.bias));
  }
}
