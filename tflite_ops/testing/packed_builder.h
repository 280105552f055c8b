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

  std::string Name() const {
    return std::string(encoding == Encoding::kRowBand ? "band" : "sliding") + std::to_string(group_rows) + "x" +
           std::to_string(group_cols) + " R" + std::to_string(out_channels) + " k" + std::to_string(kernel_h) + "x" +
           std::to_string(kernel_w) + " C" + std::to_string(in_channels) + " s" + std::to_string(stride_h) +
           std::to_string(stride_w) + " d" + std::to_string(dilation_h) + std::to_string(dilation_w) +
           (padding == Padding::kSame ? " same" : " valid");
  }
};

// Packed bytes and the dense matrix [out_channels, columns] that they mean.
struct Packed {
  std::vector<uint8_t> bytes;
  std::vector<float> dense;
};

inline void PutU32(std::vector<uint8_t>* bytes, size_t offset, uint32_t value) {
  for (int i = 0; i < 4; ++i) (*bytes)[offset + i] = static_cast<uint8_t>(value >> (8 * i));
}

inline void FixHeaderCrc(std::vector<uint8_t>* bytes) { PutU32(bytes, 124, Crc32(bytes->data(), 124)); }

inline Packed BuildPacked(const PackedSpec& spec, std::mt19937* random) {
  const uint32_t rows = spec.out_channels, columns = spec.kernel_h * spec.kernel_w * spec.in_channels;
  const bool band = spec.encoding == Encoding::kRowBand;
  const uint32_t lines = band ? (rows + spec.group_rows - 1) / spec.group_rows : rows - spec.group_rows + 1;
  std::uniform_real_distribution<float> value(-1.0f, 1.0f);
  std::bernoulli_distribution keep(band ? spec.density : spec.density / spec.group_rows);
  Packed packed;
  packed.dense.assign(size_t{rows} * columns, 0.0f);
  std::vector<uint32_t> ends;
  std::vector<uint16_t> deltas;
  std::vector<float> values;
  for (uint32_t line = 0; line < lines; ++line) {
    const uint32_t first = band ? line * spec.group_rows : line;
    const uint32_t count = rows - first < spec.group_rows ? rows - first : spec.group_rows;
    uint32_t previous = 0;
    for (uint32_t start = 0; start + spec.group_cols <= columns; ++start) {
      if (!keep(*random)) continue;
      deltas.push_back(static_cast<uint16_t>(start - previous));
      previous = start;
      for (uint32_t column = start; column < start + spec.group_cols; ++column) {
        for (uint32_t slot = 0; slot < count; ++slot) {
          uint32_t row = first + slot;
          while (!band && row % spec.group_rows != slot) row = first + (row + 1 - first) % count;
          values.push_back(value(*random));
          packed.dense[size_t{row} * columns + column] += values.back();
        }
      }
    }
    ends.push_back(static_cast<uint32_t>(deltas.size()));
  }
  const auto align = [](size_t offset) { return (offset + 63) / 64 * 64; };
  const size_t columns_offset = align(128 + ends.size() * 4), values_offset = align(columns_offset + deltas.size() * 2);
  packed.bytes.assign(values_offset + values.size() * 4, 0);
  const uint32_t words[] = {static_cast<uint32_t>(packed.bytes.size()),
                            static_cast<uint32_t>(spec.op),
                            static_cast<uint32_t>(spec.encoding),
                            1,
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
                            static_cast<uint32_t>(values.size()),
                            128,
                            static_cast<uint32_t>(columns_offset),
                            static_cast<uint32_t>(values_offset)};
  memcpy(packed.bytes.data(), "TFPK\x01\x00\x80\x00", 8);
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); ++i) PutU32(&packed.bytes, 8 + 4 * i, words[i]);
  memcpy(packed.bytes.data() + 128, ends.data(), ends.size() * 4);
  if (!deltas.empty()) memcpy(packed.bytes.data() + columns_offset, deltas.data(), deltas.size() * 2);
  if (!values.empty()) memcpy(packed.bytes.data() + values_offset, values.data(), values.size() * 4);
  FixHeaderCrc(&packed.bytes);
  return packed;
}

}  // namespace tfprune

#endif  // TFPRUNE_TESTING_PACKED_BUILDER_H_
