// SPDX-License-Identifier: Apache-2.0
// Packed weights as matrices, after docs/formats.md, and the golden files: for tests.
#ifndef TFPRUNE_FORMATS_PACKED_DECODING_H_
#define TFPRUNE_FORMATS_PACKED_DECODING_H_

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "tflite_ops/formats/packed_weights.h"

namespace tfprune {

constexpr char kGolden[] = "tests/golden/";

inline std::vector<uint8_t> ReadFile(const std::string& name) {
  std::ifstream file(kGolden + name, std::ios::binary);
  EXPECT_TRUE(file.good()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

// The rows of a table with white space between columns; lines that begin with # are comments.
inline std::vector<std::vector<std::string>> ReadTable(const std::string& name) {
  std::ifstream file(kGolden + name);
  EXPECT_TRUE(file.good()) << name;
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    rows.emplace_back(std::istream_iterator<std::string>(words), std::istream_iterator<std::string>());
  }
  EXPECT_FALSE(rows.empty()) << name;
  return rows;
}

// IEEE 754 binary16, normal numbers and zeros only.
inline float FromHalf(uint16_t half) {
  if ((half & 0x7fff) == 0) return 0.0f;
  const int exponent = (half >> 10 & 31) - 15;
  const float magnitude = std::ldexp(static_cast<float>(1024 + (half & 1023)), exponent - 10);
  return half >> 15 ? -magnitude : magnitude;
}

inline float NumberAt(const PackedWeights& w, size_t index) {
  if (w.value_type == ValueType::kInt8) return static_cast<float>(w.bytes[index] - w.weight_zero_point);
  if (w.value_type == ValueType::kUInt8) return static_cast<float>(w.unsigned_bytes[index] - w.weight_zero_point);
  return w.value_type == ValueType::kFloat16 ? FromHalf(w.halves[index]) : w.values[index];
}

inline float ScaleOf(const PackedWeights& w, size_t row) { return w.scales == nullptr ? 1.0f : w.scales[row]; }

// Value `slot` of cell `cell` of a line whose values start at `line_value`.
inline float ValueAt(const PackedWeights& w, size_t line_value, size_t rows, size_t cell, size_t slot) {
  const bool fours = w.has_integers();
  return NumberAt(w, fours ? line_value + cell / 4 * 4 * rows + slot * 4 + cell % 4 : line_value + cell * rows + slot);
}

// Sums every block up; each place it names is asserted to lie inside the weights.
inline std::vector<float> DecodeBlocks(const PackedWeights& w) {
  std::vector<float> dense(size_t{w.out_channels} * w.columns(), 0.0f);
  uint32_t value = 0, number = 0;
  for (uint32_t band = 0; band < w.band_count; ++band) {
    for (; number < w.band_ends[band]; ++number) {
      const Block block = BlockOf(w, band, number);
      const Chunks chunks(block.row_count, w.group_rows);
      uint32_t row = 0;
      for (uint32_t chunk = 0; chunk < chunks.count; row += chunks.Rows(chunk++)) {
        EXPECT_LE(chunks.Rows(chunk), w.group_rows);
        uint32_t column = 0;
        for (uint32_t i = 0; i < block.column_count; ++i) {
          column += w.Step(block.first_group + i);
          for (uint32_t r = row; r < row + chunks.Rows(chunk); ++r) {
            const size_t place = size_t{block.first_row + block.rows[r]} * w.columns() + column;
            EXPECT_LT(column, w.columns());
            EXPECT_LT(place, dense.size());
            EXPECT_LT(value, w.value_count);
            if (place >= dense.size() || value >= w.value_count) return dense;
            dense[place] += ScaleOf(w, place / w.columns()) * NumberAt(w, value++);
          }
        }
      }
      EXPECT_EQ(row, block.row_count);
    }
  }
  EXPECT_EQ(number, w.line_count);
  EXPECT_EQ(value, w.value_count);
  return dense;
}

inline std::vector<float> Decode(const PackedWeights& w) {
  if (w.in_blocks()) return DecodeBlocks(w);
  std::vector<float> dense(size_t{w.out_channels} * w.columns(), 0.0f);
  size_t line_value = 0, cell = 0;
  uint32_t last_line = 0;
  ForEachGroup(w, [&](uint32_t line, uint32_t, uint32_t start) {
    const uint32_t first = w.FirstRow(line), rows = w.RowsOfLine(line);
    if (line != last_line) {
      const size_t stored = w.has_integers() ? (cell + 3) / 4 * 4 : cell;
      line_value += stored * w.RowsOfLine(last_line);
      last_line = line;
      cell = 0;
    }
    for (uint32_t column = start; column < start + w.group_cols; ++column, ++cell) {
      for (uint32_t slot = 0; slot < rows; ++slot) {
        uint32_t row = first + slot;
        for (uint32_t q = first; w.encoding == Encoding::kSlidingRow && q < first + rows; ++q) {
          if (q % rows == slot) row = q;
        }
        dense[size_t{row} * w.columns() + column] += ScaleOf(w, row) * ValueAt(w, line_value, rows, cell, slot);
      }
    }
  });
  return dense;
}

}  // namespace tfprune

#endif  // TFPRUNE_FORMATS_PACKED_DECODING_H_
