// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/conv2d_int8/quantize.h"

#include <math.h>
#include <string.h>

namespace tfprune {
namespace {

// Four floats: one register of every instruction set, so no dispatch is needed.
typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));

typedef int16_t Words __attribute__((vector_size(16)));
typedef int8_t Bytes __attribute__((vector_size(16)));

// The low halves of all lanes, which hold the values.
Words Narrow(Ints a, Ints b) {
  return __builtin_shufflevector(reinterpret_cast<Words>(a), reinterpret_cast<Words>(b), 0, 2, 4, 6, 8, 10, 12, 14);
}
Bytes Narrow(Words a, Words b) {
  return __builtin_shufflevector(reinterpret_cast<Bytes>(a), reinterpret_cast<Bytes>(b), 0, 2, 4, 6, 8, 10, 12, 14, 16,
                                 18, 20, 22, 24, 26, 28, 30);
}

Floats Load(const float* p) {
  Floats v;
  memcpy(&v, p, sizeof(v));
  return v;
}

Floats Min(Floats a, Floats b) { return a < b ? a : b; }
Floats Max(Floats a, Floats b) { return a > b ? a : b; }
float Clip(float value, float low, float high) { return value > low ? (value < high ? value : high) : low; }

}  // namespace

void FindRange(const float* x, size_t count, float* low, float* high) {
  Floats least[4] = {}, most[4] = {};
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      const Floats value = Load(x + i + 4 * v);
      least[v] = Min(value, least[v]);
      most[v] = Max(value, most[v]);
    }
  }
  const Floats smallest = Min(Min(least[0], least[1]), Min(least[2], least[3]));
  const Floats largest = Max(Max(most[0], most[1]), Max(most[2], most[3]));
  float lowest = 0.0f, highest = 0.0f;
  for (int lane = 0; lane < 4; ++lane) {
    lowest = smallest[lane] < lowest ? smallest[lane] : lowest;
    highest = largest[lane] > highest ? largest[lane] : highest;
  }
  for (; i < count; ++i) {
    lowest = x[i] < lowest ? x[i] : lowest;
    highest = x[i] > highest ? x[i] : highest;
  }
  *low = lowest;
  *high = highest;
}

QuantizedRange RangeOf(float low, float high) {
  const float width = high - low;
  const float factor = low == high ? 1.0f : 255.0f / width;
  const float scale = 1.0f / factor;
  // A range too wide or too narrow for float32 gives a factor that is 0 or infinite.
  if (!(factor > 0.0f) || !isfinite(factor) || !isfinite(scale)) return {isfinite(width) ? 0.0f : INFINITY, 0.0f, 0};
  const float lowest = low * factor, highest = high * factor;
  const bool near_low = (lowest - 128.0f) + (highest + 127.0f) > 0.0f;
  const float zero = near_low ? -128.0f - lowest : 127.0f - highest;
  return {scale, factor, static_cast<int32_t>(RoundToEven(Clip(zero, -128.0f, 127.0f)))};
}

void Quantize(const float* x, size_t count, const QuantizedRange& range, int8_t* out) {
  const float zero = static_cast<float>(range.zero_point), low = -128.0f - zero, high = 127.0f - zero;
  const Floats factor = {range.factor, range.factor, range.factor, range.factor};
  const Floats lowest = {low, low, low, low}, highest = {high, high, high, high};
  const auto quantized = [&](const float* p) {
    // Clamped first, so that rounding by a large addend is exact; a comparison with NaN gives the bound.
    const Floats shifted = Min(Max(Load(p) * factor, lowest), highest) + 12582912.0f;
    return __builtin_convertvector(shifted - 12582912.0f, Ints) + range.zero_point;
  };
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const Bytes bytes =
        Narrow(Narrow(quantized(x + i), quantized(x + i + 4)), Narrow(quantized(x + i + 8), quantized(x + i + 12)));
    memcpy(out + i, &bytes, sizeof(bytes));
  }
  for (; i < count; ++i) {
    const float value = Clip(x[i] * range.factor, low, high);
    out[i] = static_cast<int8_t>(static_cast<int32_t>(RoundToEven(value)) + range.zero_point);
  }
}

}  // namespace tfprune
