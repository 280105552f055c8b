// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/planar_int16/planar_int16.h"

#include "tflite_ops/base/rounding.h"

namespace tfprune {
namespace {

int64_t Clip(int64_t value, const OutputRange& range) {
  return value < range.low ? range.low : value > range.high ? range.high : value;
}

// `value / 2^by` rounded to the nearest, ties upward.
int64_t ShiftRight(int64_t value, int32_t by) { return by == 0 ? value : (value + (int64_t{1} << (by - 1))) >> by; }

int64_t FromFloat(const RowRule& rule, const OutputRange& range, int64_t sum) {
  const float low = static_cast<float>(range.low), high = static_cast<float>(range.high);
  const float value = static_cast<float>(static_cast<int32_t>(sum)) * static_cast<float>(rule.factor);
  const float raised = value < low ? low : value;
  return static_cast<int64_t>(RoundToEven(raised > high ? high : raised));
}

int64_t FromFloor(const RowRule& rule, const OutputRange& range, int64_t sum) {
  const double exact = static_cast<double>(sum) * rule.factor;
  const double value = exact + (exact < 0 ? rule.half_of_negative : rule.half);
  if (!(value > range.low)) return range.low;
  if (value > range.high) return range.high;
  const int64_t whole = static_cast<int64_t>(value);
  return static_cast<double>(whole) > value ? whole - 1 : whole;
}

// Ties away from zero.
int64_t FromDouble(const RowRule& rule, const OutputRange& range, int64_t sum) {
  const double value = static_cast<double>(sum) * rule.factor;
  if (!(value > range.low)) return range.low;
  if (value > range.high) return range.high;
  const int64_t whole = static_cast<int64_t>(value);
  const double rest = value - static_cast<double>(whole);
  return rest >= 0.5 ? whole + 1 : rest <= -0.5 ? whole - 1 : whole;
}

}  // namespace

int32_t Requantize(const RowRule& rule, const OutputRange& range, int64_t sum) {
  int64_t value = 0;
  const int32_t narrow = static_cast<int32_t>(static_cast<uint32_t>(sum));
  switch (rule.how) {
    case Requantization::kFloat:
      value = FromFloat(rule, range, sum);
      break;
    case Requantization::kFloor:
    case Requantization::kReduced:
      value = FromFloor(rule, range, sum);
      break;
    case Requantization::kDouble:
      value = FromDouble(rule, range, sum);
      break;
    case Requantization::kOnce:
      value = ShiftRight(int64_t{narrow} * rule.multiplier, 31 - rule.shift);
      break;
    case Requantization::kTwice:
    case Requantization::kTwiceAway: {
      const uint32_t left = rule.shift > 0 ? static_cast<uint32_t>(rule.shift) : 0;
      const int32_t shifted = static_cast<int32_t>(static_cast<uint32_t>(narrow) << left);
      const int64_t first = ShiftRight(int64_t{shifted} * rule.multiplier, 31);
      const int32_t right = rule.shift < 0 ? -rule.shift : 0;
      value =
          rule.how == Requantization::kTwiceAway && first < 0 ? -ShiftRight(-first, right) : ShiftRight(first, right);
      break;
    }
  }
  return static_cast<int32_t>(Clip(value, range)) + range.zero_point;
}

#define TFPRUNE_INT16_ISA(name, value) \
  namespace name {                     \
  Int16KernelSet GetInt16Kernels();    \
  }
#include "tflite_ops/kernels/planar_int16/isa.inc"
#undef TFPRUNE_INT16_ISA

Int16KernelSet GetInt16Kernels([[maybe_unused]] Arch arch) {
  Int16KernelSet best = {};
#define TFPRUNE_INT16_ISA(name, value) \
  if (arch >= Arch::value) best = name::GetInt16Kernels();
#include "tflite_ops/kernels/planar_int16/isa.inc"
#undef TFPRUNE_INT16_ISA
  return best;
}

}  // namespace tfprune
