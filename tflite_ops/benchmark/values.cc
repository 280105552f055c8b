// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/benchmark/values.h"

#include <math.h>
#include <string.h>

namespace tfprune {
namespace {

// Bytes of one value, 0 for types that are neither filled nor compared.
size_t SizeOf(TfLiteType type) {
  switch (type) {
    case kTfLiteInt8:
    case kTfLiteUInt8:
    case kTfLiteBool:
      return 1;
    case kTfLiteInt16:
    case kTfLiteUInt16:
      return 2;
    case kTfLiteFloat32:
    case kTfLiteInt32:
    case kTfLiteUInt32:
      return 4;
    case kTfLiteInt64:
    case kTfLiteUInt64:
      return 8;
    default:
      return 0;
  }
}

template <typename T>
double Load(const void* data, size_t index) {
  T value;
  memcpy(&value, static_cast<const char*>(data) + index * sizeof(T), sizeof(T));
  return static_cast<double>(value);
}

double Value(TfLiteType type, const void* data, size_t index) {
  switch (type) {
    case kTfLiteFloat32:
      return Load<float>(data, index);
    case kTfLiteInt8:
      return Load<int8_t>(data, index);
    case kTfLiteInt16:
      return Load<int16_t>(data, index);
    case kTfLiteUInt16:
      return Load<uint16_t>(data, index);
    case kTfLiteInt32:
      return Load<int32_t>(data, index);
    case kTfLiteUInt32:
      return Load<uint32_t>(data, index);
    case kTfLiteInt64:
      return Load<int64_t>(data, index);
    case kTfLiteUInt64:
      return Load<uint64_t>(data, index);
    default:
      return Load<uint8_t>(data, index);
  }
}

}  // namespace

uint64_t Random::Bits() {
  uint64_t bits = state_ += 0x9e3779b97f4a7c15u;
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
  return bits ^ (bits >> 31);
}

double Random::Uniform() { return static_cast<double>(Bits() >> 11) * 0x1p-53; }

// Marsaglia's polar method.
double Random::Normal() {
  for (;;) {
    const double x = 2 * Uniform() - 1, y = 2 * Uniform() - 1, square = x * x + y * y;
    if (square > 0 && square < 1) return x * sqrt(-2 * log(square) / square);
  }
}

bool Fill(TfLiteType type, void* data, size_t bytes, Random* random) {
  const size_t size = SizeOf(type);
  if (size == 0) return false;
  char* const values = static_cast<char*>(data);
  for (size_t i = 0; i + size <= bytes; i += size) {
    if (type == kTfLiteFloat32) {
      const float value = static_cast<float>(random->Normal());
      memcpy(values + i, &value, size);
    } else {
      // The low bytes come first on every machine that Android or LiteRT's wheels know.
      const bool quantized = size <= 2 && type != kTfLiteBool;
      const uint64_t value = quantized ? random->Bits() : random->Bits() >> 63;
      memcpy(values + i, &value, size);
    }
  }
  return true;
}

bool RelativeError(TfLiteType type, const void* expected, const void* got, size_t bytes, double* error) {
  const size_t size = SizeOf(type);
  if (size == 0) return false;
  double difference = 0, magnitude = 0;
  for (size_t i = 0; i < bytes / size; ++i) {
    const double a = Value(type, expected, i), b = Value(type, got, i);
    // Written so that whatever is no number counts.
    if (!(fabs(a) < INFINITY) || !(fabs(b) < INFINITY)) {
      *error = INFINITY;
      return true;
    }
    difference = fmax(difference, fabs(a - b));
    magnitude = fmax(magnitude, fabs(a));
  }
  *error = difference / (magnitude > 0 ? magnitude : 1);
  return true;
}

}  // namespace tfprune
