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
  int column_bytes = -1;         // 0: a bitmap; -1: any that can hold the columns
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

constexpr size_t kPackedHeaderBytes = 128, kPackedCrc = 124, kPackedValueType = 14, kPackedInputScale = 88;

// Packed bytes and the dense matrix [out_channels, columns] that they mean; of integer weights the integers less the
// zero point.
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
        for (size_t cell = first; cell < first + 4 && cell < count; ++cell) {
          const int8_t value = static_cast<int8_t>(cells[cell * rows + row]);
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

inline void FixHeaderCrc(std::vector<uint8_t>* bytes) { PutU32(bytes, kPackedCrc, Crc32(bytes->data(), kPackedCrc)); }

// Fields of the activations.
inline void PutQuantization(const PackedSpec& spec, std::vector<uint8_t>* bytes) {
  if (spec.value_type != ValueType::kInt8 || !spec.int8_activations) return;
  (*bytes)[18] = 1;  // int8
  (*bytes)[19] = 1;  // XNNPACK's rounding
  memcpy(bytes->data() + 88, &spec.input_scale, 4);
  memcpy(bytes->data() + 92, &spec.input_zero_point, 4);
  memcpy(bytes->data() + 96, &spec.output_scale, 4);
  memcpy(bytes->data() + 100, &spec.output_zero_point, 4);
}

// What lies in the sections; columns as starts.
struct Sections {
  std::vector<uint32_t> line_counts, starts;
  std::vector<uint32_t> row_counts, band_counts;  // of blocks
  std::vector<uint8_t> block_rows;
  std::vector<uint8_t> values;  // as stored
};

// How columns and counts are stored.
struct Form {
  uint32_t column_bytes, column_unit, count_bits;
};

// Bits of a list's numbers: none where all are the same and not zero.
inline uint32_t ListBits(const std::vector<uint32_t>& numbers) {
  uint32_t most = 0;
  bool same = !numbers.empty() && numbers[0] > 0;
  for (const uint32_t number : numbers) {
    same = same && number == numbers[0];
    most = std::max(most, number);
  }
  if (same) return 0;
  uint32_t bits = 1;
  while (most >> bits != 0) ++bits;
  return bits;
}

inline void AppendList(const std::vector<uint32_t>& numbers, uint32_t bits, std::vector<uint8_t>* bytes) {
  const size_t begin = bytes->size();
  bytes->resize(begin + (numbers.size() * bits + 7) / 8, 0);
  for (size_t bit = 0; bit < numbers.size() * bits; ++bit) {
    if (numbers[bit / bits] >> bit % bits & 1) (*bytes)[begin + bit / 8] |= static_cast<uint8_t>(1u << bit % 8);
  }
}

// Steps from start to start within each line.
inline std::vector<uint32_t> StepsOf(const Sections& sections) {
  std::vector<uint32_t> steps;
  size_t group = 0;
  for (const uint32_t count : sections.line_counts) {
    uint32_t before = 0;
    for (uint32_t i = 0; i < count; ++i, ++group) {
      steps.push_back(sections.starts[group] - before);
      before = sections.starts[group];
    }
  }
  return steps;
}

// Any form that can hold the columns, or the one that is asked for.
inline Form ChooseForm(const PackedSpec& spec, const Sections& sections, std::mt19937* random) {
  const uint32_t columns = spec.kernel_h * spec.kernel_w * spec.in_channels;
  std::vector<uint32_t> widths = {2};
  bool small = true, multiples = true;
  for (const uint32_t step : StepsOf(sections)) small = small && step < 256;
  for (const uint32_t start : sections.starts) multiples = multiples && start % spec.group_cols == 0;
  if (small) widths.push_back(1);
  if (sections.band_counts.empty() && columns <= 65536) widths.push_back(0);
  Form form = {widths[(*random)() % widths.size()], 1, 0};
  if (spec.column_bytes >= 0) form.column_bytes = static_cast<uint32_t>(spec.column_bytes);
  if (form.column_bytes == 0) {
    if (multiples && (*random)() % 2 == 0) form.column_unit = spec.group_cols;
  } else {
    form.count_bits = ListBits(sections.line_counts);
    if (form.count_bits > 0) form.count_bits += (*random)() % 3;
  }
  return form;
}

inline void AppendColumns(const PackedSpec& spec, const Sections& sections, const Form& form,
                          std::vector<uint8_t>* bytes) {
  if (form.column_bytes > 0) {
    for (const uint32_t step : StepsOf(sections)) {
      for (uint32_t i = 0; i < form.column_bytes; ++i) bytes->push_back(static_cast<uint8_t>(step >> (8 * i)));
    }
    return;
  }
  const uint32_t columns = spec.kernel_h * spec.kernel_w * spec.in_channels;
  const size_t line_bytes = ((columns + form.column_unit - 1) / form.column_unit + 7) / 8;
  size_t group = 0;
  for (const uint32_t count : sections.line_counts) {
    const size_t begin = bytes->size();
    bytes->resize(begin + line_bytes, 0);
    for (uint32_t i = 0; i < count; ++i, ++group) {
      const uint32_t bit = sections.starts[group] / form.column_unit;
      (*bytes)[begin + bit / 8] |= static_cast<uint8_t>(1u << bit % 8);
    }
  }
}

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
  out->starts.insert(out->starts.end(), kept_columns.begin(), kept_columns.end());
  for (const uint32_t r : kept_rows) out->block_rows.push_back(static_cast<uint8_t>(r));
  out->line_counts.push_back(static_cast<uint32_t>(kept_columns.size()));
  out->row_counts.push_back(static_cast<uint32_t>(kept_rows.size()));
  std::vector<float> cells;
  const size_t chunks = (kept_rows.size() + spec.group_rows - 1) / spec.group_rows;
  for (size_t chunk = 0, begin = 0; chunk < chunks; ++chunk) {
    const size_t size = (kept_rows.size() - begin + chunks - chunk - 1) / (chunks - chunk);
    for (const uint32_t c : kept_columns) {
      for (size_t r = begin; r < begin + size; ++r) {
        cells.push_back(RandomWeight(spec.value_type, random));
        (*dense)[size_t{first_row + kept_rows[r]} * columns + c] += cells.back();
      }
    }
    begin += size;
  }
  // One row as seen by AppendLine: integers of blocks follow one another as floats do.
  AppendLine(spec.value_type, cells, 1, &out->values);
}

inline void BuildBlocks(const PackedSpec& spec, std::mt19937* random, std::vector<float>* dense, Sections* out) {
  const uint32_t bands = (spec.out_channels + spec.band_rows - 1) / spec.band_rows;
  for (uint32_t band = 0; band < bands; ++band) {
    const uint32_t first = band * spec.band_rows;
    const uint32_t rows = std::min(spec.band_rows, spec.out_channels - first);
    const uint32_t blocks = spec.density == 0 ? 0 : static_cast<uint32_t>((*random)() % 4);
    for (uint32_t i = 0; i < blocks; ++i) AddBlock(spec, first, rows, random, dense, out);
    out->band_counts.push_back(blocks);
  }
}

// Header and sections as bytes.
inline std::vector<uint8_t> Assemble(const PackedSpec& spec, const Sections& sections, const Form& form) {
  const bool int8 = spec.value_type == ValueType::kInt8, blocks = !sections.band_counts.empty();
  const size_t value_bytes = int8 ? 1 : spec.value_type == ValueType::kFloat16 ? 2 : 4;
  const uint32_t row_bits = blocks ? ListBits(sections.row_counts) : 0;
  const uint32_t band_bits = blocks ? ListBits(sections.band_counts) : 0;
  std::vector<uint8_t> bytes(kPackedHeaderBytes, 0);
  bytes.insert(bytes.end(), sections.values.begin(), sections.values.end());
  if (int8) {
    bytes.resize((bytes.size() + 3) / 4 * 4, 0);
    for (uint32_t row = 0; row < spec.out_channels; ++row) {
      const float scale = 0.001f * static_cast<float>(1 + row % 7);
      bytes.resize(bytes.size() + 4);
      memcpy(bytes.data() + bytes.size() - 4, &scale, 4);
    }
  }
  if (form.column_bytes == 2) bytes.resize((bytes.size() + 1) / 2 * 2, 0);
  AppendColumns(spec, sections, form, &bytes);
  bytes.insert(bytes.end(), sections.block_rows.begin(), sections.block_rows.end());
  if (form.column_bytes > 0) AppendList(sections.line_counts, form.count_bits, &bytes);
  AppendList(sections.row_counts, row_bits, &bytes);
  AppendList(sections.band_counts, band_bits, &bytes);
  const uint32_t options[] = {static_cast<uint32_t>(spec.op),
                              static_cast<uint32_t>(spec.encoding),
                              static_cast<uint32_t>(spec.value_type),
                              static_cast<uint32_t>(spec.activation),
                              static_cast<uint32_t>(spec.padding),
                              0,
                              0,
                              0,
                              0,
                              form.column_bytes,
                              form.count_bits,
                              blocks ? spec.band_rows : 0,
                              row_bits,
                              band_bits};
  const uint32_t sizes[] = {spec.out_channels,
                            spec.kernel_h,
                            spec.kernel_w,
                            spec.in_channels,
                            spec.stride_h,
                            spec.stride_w,
                            spec.dilation_h,
                            spec.dilation_w,
                            spec.group_rows,
                            spec.group_cols,
                            static_cast<uint32_t>(sections.line_counts.size()),
                            static_cast<uint32_t>(sections.starts.size()),
                            static_cast<uint32_t>(sections.values.size() / value_bytes),
                            form.column_unit,
                            static_cast<uint32_t>(sections.block_rows.size())};
  memcpy(bytes.data(), "TFPK\x02\x00\x80\x00", 8);
  PutU32(&bytes, 8, static_cast<uint32_t>(bytes.size()));
  for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); ++i) bytes[12 + i] = static_cast<uint8_t>(options[i]);
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) PutU32(&bytes, 28 + 4 * i, sizes[i]);
  PutQuantization(spec, &bytes);
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
    const size_t before = out->starts.size();
    std::vector<float> cells;
    for (uint32_t start = 0; start + spec.group_cols <= columns; ++start) {
      if (!keep(*random)) continue;
      out->starts.push_back(start);
      for (uint32_t column = start; column < start + spec.group_cols; ++column) {
        for (uint32_t slot = 0; slot < count; ++slot) {
          uint32_t row = first + slot;
          while (!band && row % spec.group_rows != slot) row = first + (row + 1 - first) % count;
          cells.push_back(RandomWeight(spec.value_type, random));
          (*dense)[size_t{row} * columns + column] += cells.back();
        }
      }
    }
    out->line_counts.push_back(static_cast<uint32_t>(out->starts.size() - before));
    AppendLine(spec.value_type, cells, count, &out->values);
  }
}

inline Packed BuildPacked(const PackedSpec& spec, std::mt19937* random) {
  Packed packed;
  packed.dense.assign(size_t{spec.out_channels} * spec.kernel_h * spec.kernel_w * spec.in_channels, 0.0f);
  Sections sections;
  const bool blocks = spec.encoding == Encoding::kBlockRows || spec.encoding == Encoding::kBlockColumns;
  (blocks ? BuildBlocks : BuildGroups)(spec, random, &packed.dense, &sections);
  packed.bytes = Assemble(spec, sections, ChooseForm(spec, sections, random));
  return packed;
}

}  // namespace tfprune

#endif  // TFPRUNE_TESTING_PACKED_BUILDER_H_
