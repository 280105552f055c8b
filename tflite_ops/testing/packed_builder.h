// SPDX-License-Identifier: Apache-2.0
// Random packed weights for tests, written after docs/formats.md and independently of the reader.
#ifndef TFPRUNE_TESTING_PACKED_BUILDER_H_
#define TFPRUNE_TESTING_PACKED_BUILDER_H_

#include <stdint.h>
#include <string.h>

#include <algorithm>
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
  double density = 0.3;  // probability that a group is kept; of blocks: that a column is in one
  uint32_t band_rows = 7;
  ValueType value_type = ValueType::kFloat32;
  bool int8_activations = true;  // of kInt8: whether input and output are int8, too
  float input_scale = 0.05f, output_scale = 0.4f;
  int32_t input_zero_point = -3, output_zero_point = 5;

  std::string Name() const {
    const char* names[] = {"", "band", "sliding", "blockrows", "blockcolumns"};
    return names[static_cast<uint32_t>(encoding)] + std::to_string(group_rows) + "x" + std::to_string(group_cols) +
           " R" + std::to_string(out_channels) + " k" + std::to_string(kernel_h) + "x" + std::to_string(kernel_w) +
           " C" + std::to_string(in_channels) + " s" + std::to_string(stride_h) + std::to_string(stride_w) + " d" +
           std::to_string(dilation_h) + std::to_string(dilation_w) + (padding == Padding::kSame ? " same" : " valid") +
           " type " + std::to_string(static_cast<uint32_t>(value_type));
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

// What lies in the sections.
struct Sections {
  std::vector<uint32_t> line_ends;
  std::vector<uint16_t> deltas;
  std::vector<uint32_t> block_words;  // band_rows, band_ends and row_ends
  std::vector<uint8_t> block_rows;
  std::vector<uint8_t> values;  // as stored
};

// A block of random rows of a band and random columns; blocks may overlap.
inline void AddBlock(const PackedSpec& spec, uint32_t first_row, uint32_t rows, std::mt19937* random,
                     std::vector<float>* dense, Sections* out) {
  const uint32_t columns = spec.kernel_h * spec.kernel_w * spec.in_channels;
  std::vector<uint32_t> kept_rows, kept_columns;
  std::bernoulli_distribution row(0.5), column(spec.density);
  for (uint32_t r = 0; r < rows; ++r) {
    if (row(*random) || (r + 1 == rows && kept_rows.empty())) kept_rows.push_back(r);
  }
  const size_t most = spec.encoding == Encoding::kBlockColumns ? 1 + (*random)() % kMaxBlockColumns : columns;
  for (uint32_t c = 0; c < columns && kept_columns.size() < most; ++c) {
    if (column(*random) || (c + 1 == columns && kept_columns.empty())) kept_columns.push_back(c);
  }
  for (size_t i = 0; i < kept_columns.size(); ++i)
    out->deltas.push_back(static_cast<uint16_t>(kept_columns[i] - (i == 0 ? 0 : kept_columns[i - 1])));
  for (const uint32_t r : kept_rows) out->block_rows.push_back(static_cast<uint8_t>(r));
  out->line_ends.push_back(static_cast<uint32_t>(out->deltas.size()));
  out->block_words.push_back(static_cast<uint32_t>(out->block_rows.size()));
  std::vector<float> cells;
  const size_t chunks = (kept_rows.size() + spec.group_rows - 1) / spec.group_rows;
  for (size_t chunk = 0, begin = 0; chunk < chunks; ++chunk) {
    const size_t size = (kept_rows.size() - begin + chunks - chunk - 1) / (chunks - chunk);
    for (const uint32_t c : kept_columns) {
      for (size_t r = begin; r < begin + size; ++r) {
        cells.push_back(RandomWeight(ValueType::kFloat32, random));
        (*dense)[size_t{first_row + kept_rows[r]} * columns + c] += cells.back();
      }
    }
    begin += size;
  }
  AppendLine(ValueType::kFloat32, cells, kept_rows.size(), &out->values);
}

inline void BuildBlocks(const PackedSpec& spec, std::mt19937* random, std::vector<float>* dense, Sections* out) {
  const uint32_t bands = (spec.out_channels + spec.band_rows - 1) / spec.band_rows;
  std::vector<uint32_t> words = {spec.band_rows};
  for (uint32_t band = 0; band < bands; ++band) {
    const uint32_t first = band * spec.band_rows;
    const uint32_t rows = std::min(spec.band_rows, spec.out_channels - first);
    const uint32_t blocks = spec.density == 0 ? 0 : static_cast<uint32_t>((*random)() % 4);
    for (uint32_t i = 0; i < blocks; ++i) AddBlock(spec, first, rows, random, dense, out);
    words.push_back(static_cast<uint32_t>(out->line_ends.size()));
  }
  out->block_words.insert(out->block_words.begin(), words.begin(), words.end());
}

// Header and sections as bytes.
inline std::vector<uint8_t> Assemble(const PackedSpec& spec, const Sections& sections) {
  const auto align = [](size_t offset) { return (offset + 63) / 64 * 64; };
  const bool int8 = spec.value_type == ValueType::kInt8;
  const size_t value_bytes = int8 ? 1 : spec.value_type == ValueType::kFloat16 ? 2 : 4;
  const size_t columns = align(128 + sections.line_ends.size() * 4);
  const size_t behind = align(columns + sections.deltas.size() * 2);  // scales or blocks: never both
  const size_t rows = behind + sections.block_words.size() * 4;
  const size_t values = align(int8 ? behind + size_t{spec.out_channels} * 4 : rows + sections.block_rows.size());
  std::vector<uint8_t> bytes(values + sections.values.size(), 0);
  const uint32_t words[] = {static_cast<uint32_t>(bytes.size()),
                            static_cast<uint32_t>(spec.op),
                            static_cast<uint32_t>(spec.encoding),
                            static_cast<uint32_t>(spec.value_type),
                            static_cast<uint32_t>(spec.activation),
                            static_cast<uint32_t>(spec.padding),
                            spec.out_channels,
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
                            static_cast<uint32_t>(sections.line_ends.size()),
                            static_cast<uint32_t>(sections.deltas.size()),
                            static_cast<uint32_t>(sections.values.size() / value_bytes),
                            128,
                            static_cast<uint32_t>(columns),
                            static_cast<uint32_t>(values)};
  memcpy(bytes.data(), "TFPK\x01\x00\x80\x00", 8);
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); ++i) PutU32(&bytes, 8 + 4 * i, words[i]);
  if (!sections.block_words.empty()) PutU32(&bytes, 120, static_cast<uint32_t>(behind));
  const auto put = [&](size_t offset, const void* data, size_t size) {
    if (size > 0) memcpy(bytes.data() + offset, data, size);
  };
  put(128, sections.line_ends.data(), sections.line_ends.size() * 4);
  put(columns, sections.deltas.data(), sections.deltas.size() * 2);
  put(behind, sections.block_words.data(), sections.block_words.size() * 4);
  put(rows, sections.block_rows.data(), sections.block_rows.size());
  put(values, sections.values.data(), sections.values.size());
  if (int8) PutQuantization(spec, behind, &bytes);
  FixHeaderCrc(&bytes);
  return bytes;
}

inline void BuildGroups(const PackedSpec& spec, std::mt19937* random, std::vector<float>* dense, Sections* out) {
  const uint32_t rows = spec.out_channels, columns = spec.kernel_h * spec.kernel_w * spec.in_channels;
  const bool band = spec.encoding == Encoding::kRowBand;
  const uint32_t lines = band ? (rows + spec.group_rows - 1) / spec.group_rows : rows - spec.group_rows + 1;
  std::bernoulli_distribution keep(band ? spec.density : spec.density / spec.group_rows);
  for (uint32_t line = 0; line < lines; ++line) {
    const uint32_t first = band ? line * spec.group_rows : line;
    const uint32_t count = rows - first < spec.group_rows ? rows - first : spec.group_rows;
    uint32_t previous = 0;
    std::vector<float> cells;
    for (uint32_t start = 0; start + spec.group_cols <= columns; ++start) {
      if (!keep(*random)) continue;
      out->deltas.push_back(static_cast<uint16_t>(start - previous));
      previous = start;
      for (uint32_t column = start; column < start + spec.group_cols; ++column) {
        for (uint32_t slot = 0; slot < count; ++slot) {
          uint32_t row = first + slot;
          while (!band && row % spec.group_rows != slot) row = first + (row + 1 - first) % count;
          cells.push_back(RandomWeight(spec.value_type, random));
          (*dense)[size_t{row} * columns + column] += cells.back();
        }
      }
    }
    out->line_ends.push_back(static_cast<uint32_t>(out->deltas.size()));
    AppendLine(spec.value_type, cells, count, &out->values);
  }
}

inline Packed BuildPacked(const PackedSpec& spec, std::mt19937* random) {
  Packed packed;
  packed.dense.assign(size_t{spec.out_channels} * spec.kernel_h * spec.kernel_w * spec.in_channels, 0.0f);
  Sections sections;
  const bool blocks = spec.encoding == Encoding::kBlockRows || spec.encoding == Encoding::kBlockColumns;
  (blocks ? BuildBlocks : BuildGroups)(spec, random, &packed.dense, &sections);
  packed.bytes = Assemble(spec, sections);
  return packed;
}

}  // namespace tfprune

#endif  // TFPRUNE_TESTING_PACKED_BUILDER_H_
