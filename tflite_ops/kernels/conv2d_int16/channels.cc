// SPDX-License-Identifier: Apache-2.0
// How sums of each output channel become outputs, and what they may be.
#include <math.h>
#include <string.h>

#include "tflite_ops/base/rounding.h"
#include "tflite_ops/kernels/conv2d_int16/conv2d_int16.h"

namespace tfprune {
namespace {

constexpr int32_t kMaxShift = 7;  // of LiteRT's multipliers
// Down to this shift products that an output of eight bits needs are exact in a double: 9 + 31 + 13 bits.
constexpr int32_t kExactShift = -13;
constexpr uint32_t kStockBlock = 8;               // channels that builtin kernels compute at once
constexpr int64_t kExactSums = int64_t{1} << 37;  // times a multiplier of 15 bits they are exact in a double
constexpr int32_t kReducedLimit = 0x7FFF0000;     // multipliers from here on become the largest of 15 bits

// For exponents far inside those of a double.
double PowerOfTwo(int32_t exponent) {
  const uint64_t bits = static_cast<uint64_t>(exponent + 1023) << 52;
  double power;
  memcpy(&power, &bits, sizeof(power));
  return power;
}

// Constants of a file lie at any address.
int64_t BiasOf(const IntegerBias& bias, uint32_t row) {
  int64_t wide = 0;
  int32_t narrow = 0;
  if (bias.data == nullptr) return 0;
  const char* data = static_cast<const char*>(bias.data);
  if (bias.wide) memcpy(&wide, data + row * sizeof(wide), sizeof(wide));
  if (!bias.wide) memcpy(&narrow, data + row * sizeof(narrow), sizeof(narrow));
  return bias.wide ? wide : narrow;
}

// Of activations of eight bits.
Requantization RequantizationOfBytes(const PackedWeights& w, bool rounds_twice, uint32_t row) {
  switch (w.rounding) {
    case Rounding::kBuiltin:
      return rounds_twice ? Requantization::kTwice : Requantization::kOnce;
    case Rounding::kBuiltinChannels: {
      const uint32_t channel = row % w.stock_channels, in_blocks = w.stock_channels / kStockBlock * kStockBlock;
      return channel < in_blocks ? Requantization::kTwice : Requantization::kTwiceAway;
    }
    case Rounding::kBuiltinAway:
      return Requantization::kTwiceAway;
    case Rounding::kNone:
    case Rounding::kXnnpack:
      break;
  }
  // XNNPACK's kernels of uint8 for NEON do not compute in floats.
  const bool fixed = w.activation_type == ActivationType::kUInt8 && DetectedArch() >= Arch::kNeon;
  return fixed ? Requantization::kOnce : Requantization::kFloat;
}

Status ChooseRequantization(const PackedWeights& w, const IntegerBias& bias, bool rounds_twice, uint32_t row,
                            Requantization* how) {
  if (w.activation_type != ActivationType::kInt16) {
    *how = RequantizationOfBytes(w, rounds_twice, row);
    return bias.wide ? Error("convolution: the bias of 8-bit activations must be int32, got int64") : Status{};
  }
  if (w.rounding != Rounding::kBuiltin) return Error("convolution: no kernel rounds int16 as XNNPACK does");
  if (w.op == Op::kConv2D) {
    *how = Requantization::kReduced;
    return bias.data == nullptr || bias.wide
               ? Status{}
               : Error("convolution: the bias of int16 activations must be int64, got int32");
  }
  *how = bias.data != nullptr && bias.wide ? Requantization::kDouble
         : rounds_twice                    ? Requantization::kTwice
                                           : Requantization::kOnce;
  return {};
}

// Clamps of outputs before the zero point is added. Bounds of XNNPACK's kernels round ties to even, others away from
// zero.
OutputRange RangeOf(const PackedWeights& w) {
  const bool int16 = w.activation_type == ActivationType::kInt16;
  const int32_t zero = w.output_zero_point, least = w.activation_type == ActivationType::kInt8 ? -128 : 0;
  OutputRange range = {int16 ? -32768 : least - zero, int16 ? 32767 : least + 255 - zero, zero};
  float low, high;
  ActivationBounds(w.activation, &low, &high);
  low /= w.output_scale, high /= w.output_scale;
  const auto whole = [&](float bound) {
    const int32_t cut = static_cast<int32_t>(bound);
    const float rest = bound - static_cast<float>(cut);
    if (w.rounding == Rounding::kXnnpack) return static_cast<int32_t>(RoundToEven(bound));
    return rest >= 0.5f ? cut + 1 : rest <= -0.5f ? cut - 1 : cut;
  };
  if (low > static_cast<float>(range.low)) range.low = whole(low);
  if (high < static_cast<float>(range.high)) range.high = whole(high);
  return range;
}

// `s_in * s_w / s_out` as the stock op of this formula computes it.
double FactorOf(const PackedWeights& w, Requantization how, bool one_scale, uint32_t row) {
  const float scale = w.scales[row];
  if (w.rounding == Rounding::kXnnpack) return w.input_scale * scale / w.output_scale;
  // What stock ops compute with one scale, if they can have several, they compute in float32.
  const bool single =
      w.activation_type == ActivationType::kUInt8 || (w.op == Op::kFullyConnected && how != Requantization::kDouble);
  if (single && one_scale) return static_cast<double>(w.input_scale * scale) / static_cast<double>(w.output_scale);
  return static_cast<double>(w.input_scale) * static_cast<double>(scale) / static_cast<double>(w.output_scale);
}

// Two roundings are one with another half. With `v = sum * multiplier * 2^(shift - 31)` and shift < 0 the first one
// adds `extra = 2^(shift - 1)` to v before the second one rounds down: floor(v + 1/2 + extra). Where ties of the second
// one are those of -v, negative v have floor(v + 1/2 - extra).
RowRule RuleOf(Requantization how, double factor, int64_t bias, bool bytes) {
  RowRule rule = {how, bias, factor, 0.5, 0.5, 0, 0};
  if (how == Requantization::kFloat || how == Requantization::kDouble) return rule;
  QuantizeMultiplier(factor, &rule.multiplier, &rule.shift);
  if (how == Requantization::kReduced) {
    const int32_t reduced = rule.multiplier < kReducedLimit ? (rule.multiplier + (1 << 15)) >> 16 : 0x7FFF;
    rule.how = Requantization::kFloor;
    rule.factor = reduced * PowerOfTwo(rule.shift - 15);
  } else if (bytes && rule.shift >= kExactShift && rule.shift <= 0) {
    const double extra = how == Requantization::kOnce || rule.shift == 0 ? 0.0 : PowerOfTwo(rule.shift - 1);
    rule.how = Requantization::kFloor;
    rule.factor = rule.multiplier * PowerOfTwo(rule.shift - 31);
    rule.half = 0.5 + extra;
    rule.half_of_negative = how == Requantization::kTwiceAway ? 0.5 - extra : rule.half;
  }
  return rule;
}

// Sizes of the weights of each row; `largest` of the inputs.
Status CheckSums(const PackedWeights& w, uint32_t row, uint64_t size, int64_t bias, bool* wide) {
  const bool bytes = w.activation_type != ActivationType::kInt16;
  const uint64_t largest = bytes ? 255 : 32768;
  const uint64_t bias_size = bias < 0 ? uint64_t{0} - static_cast<uint64_t>(bias) : static_cast<uint64_t>(bias);
  const uint64_t sum = size * largest;
  *wide = *wide || sum > INT32_MAX;
  if (bytes && (bias_size > INT32_MAX || sum + bias_size > INT32_MAX))
    return Error("convolution: a sum of output channel %u may leave 32 bits", row);
  if (bias_size > kExactSums || sum + bias_size > kExactSums)
    return Error("convolution: a sum of output channel %u may leave 37 bits", row);
  return {};
}

}  // namespace

void QuantizeMultiplier(double factor, int32_t* multiplier, int32_t* shift) {
  uint64_t bits;
  memcpy(&bits, &factor, sizeof(bits));
  // factor = fraction * 2^(exponent - 53), fraction in [2^52, 2^53); what is too small for that is tiny in any case.
  int32_t exponent = static_cast<int32_t>(bits >> 52 & 2047) - 1022;
  const uint64_t fraction = (bits & ((uint64_t{1} << 52) - 1)) | uint64_t{1} << 52;
  uint64_t fixed = (fraction + (uint64_t{1} << 21)) >> 22;
  if (fixed == uint64_t{1} << 31) fixed >>= 1, ++exponent;
  const bool tiny = exponent < -31;
  *multiplier = tiny ? 0 : static_cast<int32_t>(fixed);
  *shift = tiny ? 0 : exponent;
}

bool RoundsTwice(const PackedWeights& w, size_t pixels) {
  if (DetectedArch() < Arch::kNeon) return DetectedArch() >= Arch::kAvx2;
  // LiteRT's product of a matrix and a vector, for sizes that fill its registers.
  return w.activation_type != ActivationType::kInt16 && pixels == 1 && w.out_channels >= 4 && w.columns() >= 8;
}

Status PrepareChannels(const PackedWeights& w, const IntegerBias& bias, bool rounds_twice, Int16Channels* channels) {
  AlignedArray<uint64_t> sizes;
  if (!sizes.Reserve(w.out_channels) || !channels->rules.Reserve(w.out_channels))
    return Error("convolution: no memory for %u output channels", w.out_channels);
  memset(sizes.data(), 0, w.out_channels * sizeof(uint64_t));
  ForEachWeight(w, [&](uint32_t row, uint32_t, size_t index) {
    const int32_t stored = w.value_type == ValueType::kUInt8 ? w.unsigned_bytes[index] : w.bytes[index];
    const int32_t weight = stored - w.weight_zero_point;
    sizes[row] += static_cast<uint64_t>(weight < 0 ? -weight : weight);
  });
  bool one_scale = true;
  for (uint32_t r = 1; r < w.out_channels; ++r) one_scale = one_scale && w.scales[r] == w.scales[0];
  channels->range = RangeOf(w);
  channels->wide = false;
  for (uint32_t r = 0; r < w.out_channels; ++r) {
    const int64_t start = BiasOf(bias, r);
    Requantization how = Requantization::kFloat;
    TFPRUNE_RETURN_IF_ERROR(ChooseRequantization(w, bias, rounds_twice, r, &how));
    TFPRUNE_RETURN_IF_ERROR(CheckSums(w, r, sizes[r], start, &channels->wide));
    const double factor = FactorOf(w, how, one_scale, r);
    if (!isfinite(factor)) return Error("convolution: the scales of output channel %u are too far apart", r);
    channels->rules[r] = RuleOf(how, factor, start, w.activation_type != ActivationType::kInt16);
    if (w.rounding != Rounding::kXnnpack && channels->rules[r].shift > kMaxShift)
      return Error("convolution: the scales of output channel %u make a factor of 128 or more", r);
  }
  return {};
}

}  // namespace tfprune
