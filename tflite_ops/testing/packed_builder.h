// SPDX-License-Identifier: Apache-2.0
// Random packed weights for tests, written after docs/formats.md and independently of the reader.
#ifndef TFPRUNE_TESTING_PACKED_BUILDER_H_
#define TFPRUNE_TESTING_PACKED_BUILDER_H_

#include <stdint.h>
#include <string.h>

#include <random>
#include <string>
#include <vector>

#include "tflite_ops/base/crc32.h"
#include "tflite_ops/formats/packed_weights.h"

namespace tfprune {

struct PackedSpec {
  Op op = Op::kConv2D;
  Encoding encoding = Encoding::kRowBand;
  uint32_t out_channels = 1, kernel_h = 1, kernel_w = 1, in_channels = 1;
  uint32_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  Padding padding = Padding::kSame;
  Activation activation = Activation::kNone;
  uint32_t group_rows = 4, group_cols = 1;
  double density = 0.3;  // probability that a group is kept
  ValueType value_type = ValueType::kFloat32;
  bool int8_activations = true;  // of kInt8: whether input and output are int8, too
  float input_scale = 0.05f, output_scale = 0.4f;
  int32_t input_zero_point = -3, output_zero_point = 5;

  std::string Name() const {
    return std::string(encoding == Encoding::kRowBand ? "band" : "sliding") + std::to_string(group_rows) + "x" +
           std::to_string(group_cols) + " R" + std::to_string(out_channels) + " k" + std::to_string(kernel_h) + "x" +
           std::to_string(kernel_w) + " C" + std::to_string(in_channels) + " s" + std::to_string(stride_h) +
           std::to_string(stride_w) + " d" + std::to_string(dilation_h) + std::to_string(dilation_w) +
           (padding == Padding::kSame ? " same" : " valid") + " type " +
           std::to_string(static_cast<uint32_t>(value_type));
  }
};

// Packed bytes and the dense matrix [out_channels, columns] that they mean; of int8 weights the integers.
struct Packed {
  std::vector<uint8_t> bytes;
  std::vector<float> dense;
};

// One random weight: a float, a float that is exact in 16 bits, or an integer in -128 .. 127.
inline float RandomWeight(ValueType type, std::mt19937* random) {
  if (type == ValueType::kInt8) return static_cast<float>(static_cast<int>((*random)() % 256) - 128);
  if (type == ValueType::kFloat16) return (static_cast<float>((*random)() % 2047) - 1023.0f) / 1024.0f;
  return std::uniform_real_distribution<float>(-1.0f, 1.0f)(*random);
}

// A multiple of 1/1024 below 1 as IEEE 754 binary16.
inline uint16_t ToHalf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  const uint32_t sign = bits >> 16 & 0x8000;
  if ((bits & 0x7fffffff) == 0) return static_cast<uint16_t>(sign);
  return static_cast<uint16_t>(sign | (((bits >> 23 & 255) - 112) << 10) | (bits >> 13 & 1023));
}

// The values of one line as bytes; `cells` holds `rows` weights for each cell.
inline void AppendLine(ValueType type, const std::vector<float>& cells, size_t rows, std::vector<uint8_t>* bytes) {
  const auto append = [&](const void* value, size_t size) {
    const uint8_t* from = static_cast<const uint8_t*>(value);
    bytes->insert(bytes->end(), from, from + size);
  };
  if (type == ValueType::kInt8) {
    const size_t count = cells.size() / rows;
    for (size_t first = 0; first < count; first += 4) {
      for (size_t row = 0; row < rows; ++row) {
        for (size_t cell = first; cell < first + 4; ++cell) {
          const int8_t value = cell < count ? static_cast<int8_t>(cells[cell * rows + row]) : int8_t{0};
          append(&value, 1);
        }
      }
    }
    return;
  }
  for (const float value : cells) {
    const uint16_t half = ToHalf(value);
    type == ValueType::kFloat16 ? append(&half, 2) : append(&value, 4);
  }
}

inline void PutU32(std::vector<uint8_t>* bytes, size_t offset, uint32_t value) {
  for (int i = 0; i < 4; ++i) (*bytes)[offset + i] = static_cast<uint8_t>(value >> (8 * i));
}

inline void FixHeaderCrc(std::vector<uint8_t>* bytes) { PutU32(bytes, 124, Crc32(bytes->data(), 124)); }

// Scales of the output channels and of the activations.
inline void PutQuantization(const PackedSpec& spec, size_t scales_offset, std::vector<uint8_t>* bytes) {
  for (uint32_t row = 0; row < spec.out_channels; ++row) {
    const float scale = 0.001f * static_cast<float>(1 + row % 7);
    memcpy(bytes->data() + scales_offset + 4 * row, &scale, 4);
  }
  PutU32(bytes, 116, static_cast<uint32_t>(scales_offset));
  if (!spec.int8_activations) return;
  memcpy(bytes->data() + 100, &spec.input_scale, 4);
  memcpy(bytes->data() + 104, &spec.input_zero_point, 4);
  memcpy(bytes->data() + 108, &spec.output_scale, 4);
  memcpy(bytes->data() + 112, &spec.output_zero_point, 4);
}

inline Packed BuildPacked(const PackedSpec& spec, std::mt19937* random) {
  const uint32_t rows = spec.out_channels, columns = spec.kernel_h * spec.kernel_w * spec.in_channels;
  const bool band = spec.encoding == Encoding::kRowBand;
  const uint32_t lines = band ? (rows + spec.group_rows - 1) / spec.group_rows : rows - spec.group_rows + 1;
  std::bernoulli_distribution keep(band ? spec.density : spec.density / spec.group_rows);
  Packed packed;
  packed.dense.assign(size_t{rows} * columns, 0.0f);
  std::vector<uint32_t> ends;
  std::vector<uint16_t> deltas;
  std::vector<uint8_t> values;
  size_t value_count = 0;
  for (uint32_t line = 0; line < lines; ++line) {
    const uint32_t first = band ? line * spec.group_rows : line;
    const uint32_t count = rows - first < spec.group_rows ? rows - first : spec.group_rows;
    uint32_t previous = 0;
    std::vector<float> cells;
    for (uint32_t start = 0; start + spec.group_cols <= columns; ++start) {
      if (!keep(*random)) continue;
      deltas.push_back(static_cast<uint16_t>(start - previous));
      previous = start;
      for (uint32_t column = start; column < start + spec.group_cols; ++column) {
        for (uint32_t slot = 0; slot < count; ++slot) {
          uint32_t row = first + slot;
          while (!band && row % spec.group_rows != slot) row = first + (row + 1 - first) % count;
          cells.push_back(RandomWeight(spec.value_type, random));
          packed.dense[size_t{row} * columns + column] += cells.back();
        }
      }
    }
    ends.push_back(static_cast<uint32_t>(deltas.size()));
    AppendLine(spec.value_type, cells, count, &values);
  }
  const auto align = [](size_t offset) { return (offset + 63) / 64 * 64; };
  const bool int8 = spec.value_type == ValueType::kInt8;
  const size_t columns_offset = align(128 + ends.size() * 4), scales_offset = align(columns_offset + deltas.size() * 2);
  const size_t values_offset = int8 ? align(scales_offset + size_t{rows} * 4) : scales_offset;
  const size_t value_bytes = int8 ? 1 : spec.value_type == ValueType::kFloat16 ? 2 : 4;
  value_count = values.size() / value_bytes;
  packed.bytes.assign(values_offset + values.size(), 0);
  const uint32_t words[] = {static_cast<uint32_t>(packed.bytes.size()),
                            static_cast<uint32_t>(spec.op),
                            static_cast<uint32_t>(spec.encoding),
                            static_cast<uint32_t>(spec.value_type),
                            static_cast<uint32_t>(spec.activation),
                            static_cast<uint32_t>(spec.padding),
                            rows,
                            spec.kernel_h,
                            spec.kernel_w,
                            spec.in_channels,
                            spec.stride_h,
                            spec.stride_w,
                            spec.dilation_h,
                            spec.dilation_w,
                            0,
                            spec.group_rows,
                            spec.group_cols,
                            lines,
                            static_cast<uint32_t>(deltas.size()),
                            static_cast<uint32_t>(value_count),
                            128,
                            static_cast<uint32_t>(columns_offset),
                            static_cast<uint32_t>(values_offset)};
  memcpy(packed.bytes.data(), "TFPK\x01\x00\x80\x00", 8);
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); ++i) PutU32(&packed.bytes, 8 + 4 * i, words[i]);
  memcpy(packed.bytes.data() + 128, ends.data(), ends.size() * 4);
  if (!deltas.empty()) memcpy(packed.bytes.data() + columns_offset, deltas.data(), deltas.size() * 2);
  if (!values.empty()) memcpy(packed.bytes.data() + values_offset, values.data(), values.size());
  if (int8) PutQuantization(spec, scales_offset, &packed.bytes);
  FixHeaderCrc(&packed.bytes);
  return packed;
}

}  // namespace tfprune

#endif  // TFPRUNE_TESTING_PACKED_BUILDER_H_
