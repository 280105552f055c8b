// SPDX-License-Identifier: Apache-2.0
// What the reader makes anew: steps of bitmaps, whole operands, blocks of integers as single rows.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tflite_ops/formats/packed_decoding.h"
#include "tflite_ops/formats/packed_weights.h"
#include "tflite_ops/formats/single_rows.h"
#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {
namespace {

// The integers of a matrix.
std::vector<int> Integers(const PackedWeights& w) {
  std::vector<int> dense(size_t{w.out_channels} * w.columns(), 0);
  ForEachWeight(w, [&](uint32_t row, uint32_t column, size_t index) {
    dense[size_t{row} * w.columns() + column] +=
        w.bytes != nullptr ? w.bytes[index] : w.unsigned_bytes[index] - w.weight_zero_point;
  });
  return dense;
}

TEST(PackedForms, BlocksOfIntegersAsSingleRowsAreTheSameMatrix) {
  const std::vector<uint8_t> bytes = ReadFile("fc_int8_block_rows.bin");
  PackedWeights blocks, rows;
  ASSERT_TRUE(ReadPackedWeights(bytes.data(), bytes.size(), &blocks).ok());
  ASSERT_TRUE(BlocksToSingleRows(blocks, &rows).ok());
  EXPECT_EQ(rows.group_count, blocks.value_count);
  EXPECT_EQ(Decode(rows), Decode(blocks));
  // Lines are filled up with what a missing weight is.
  uint32_t line = 0;
  for (size_t value = 0; line < rows.line_count; ++line) {
    const size_t end = value + rows.DotCellsOfLine(line);
    for (value += rows.CellsOfLine(line); value < end; ++value) EXPECT_EQ(rows.bytes[value], 0);
  }
}

TEST(PackedForms, BlocksOfIntegersThatOverlapAreRefused) {
  std::mt19937 random(3);
  int fine = 0, overlap = 0;
  for (int round = 0; round < 200; ++round) {
    PackedSpec spec;
    spec.encoding = round % 2 == 0 ? Encoding::kBlockRows : Encoding::kBlockColumns;
    spec.group_rows = round % 2 == 0 ? 4 : 1;
    spec.out_channels = 11, spec.in_channels = 40, spec.density = 0.1;
    spec.value_type = ValueType::kInt8;
    const Packed packed = BuildPacked(spec, &random);
    PackedWeights blocks, rows;
    ASSERT_TRUE(ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &blocks).ok());
    if (!BlocksToSingleRows(blocks, &rows).ok()) {
      ++overlap;
      continue;
    }
    ++fine;
    const std::vector<int> found = Integers(rows);
    for (size_t i = 0; i < found.size(); ++i) ASSERT_EQ(static_cast<float>(found[i]), packed.dense[i]) << i;
  }
  EXPECT_GT(fine, 20);
  EXPECT_GT(overlap, 20);
}

TEST(PackedForms, OldFilesAreRefusedWithWhatToDo) {
  std::vector<uint8_t> bytes = ReadFile("conv_row_band_r4.bin");
  PackedWeights w;
  bytes[4] = 1;
  FixHeaderCrc(&bytes);
  EXPECT_STREQ(ReadPackedWeights(bytes.data(), bytes.size(), &w).message,
               "packed weights: this library reads version 2, got 1; convert the model again");
  bytes[4] = 3;
  FixHeaderCrc(&bytes);
  EXPECT_STREQ(ReadPackedWeights(bytes.data(), bytes.size(), &w).message,
               "packed weights: this library reads version 2, got 3; use a newer libtfprune"
               ", in an app the AAR of the version that converted the model");
}

// Lines that cost nothing in the file must not ask for memory.
TEST(PackedForms, ManyLinesWithoutGroupsAreBoundByTheFile) {
  std::vector<uint8_t> bytes = ReadFile("fc_all_zero.bin");
  PackedWeights w;
  ASSERT_TRUE(ReadPackedWeights(bytes.data(), bytes.size(), &w).ok());
  bytes.resize(128);
  PutU32(&bytes, 8, 128);
  PutU32(&bytes, 28, 0x7fffffff);  // out_channels
  PutU32(&bytes, 60, 1);           // group_rows
  PutU32(&bytes, 68, 0x7fffffff);  // line_count
  bytes[21] = 1;                   // column_bytes
  bytes[22] = 0;                   // count_bits
  FixHeaderCrc(&bytes);
  const Status status = ReadPackedWeights(bytes.data(), bytes.size(), &w);
  EXPECT_NE(std::string(status.message).find("groups of lines of no bits"), std::string::npos) << status.message;
}

TEST(PackedForms, BitmapsBecomeStepsThatAreWideEnough) {
  std::mt19937 random(4);
  for (const uint32_t columns : {40u, 250u, 65536u}) {
    for (const uint32_t cols : {1u, 4u}) {
      PackedSpec spec;
      spec.column_bytes = 0;
      spec.group_rows = 2, spec.group_cols = cols;
      spec.out_channels = 4, spec.in_channels = columns;
      spec.density = columns < 300 ? 0.3 : 0.002;
      const Packed packed = BuildPacked(spec, &random);
      PackedWeights w;
      const Status status = ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &w);
      ASSERT_TRUE(status.ok()) << status.message;
      EXPECT_EQ(w.steps8 != nullptr, columns < 300) << columns;
      EXPECT_EQ(Decode(w), packed.dense);
    }
  }
}

TEST(PackedForms, IntegersAreFilledUpOnlyWhereALineEndsWithPartOfAnOperand) {
  std::mt19937 random(5);
  for (const uint32_t cols : {1u, 3u, 4u, 8u}) {
    PackedSpec spec;
    spec.value_type = ValueType::kInt8;
    spec.group_cols = cols;
    spec.out_channels = 10, spec.in_channels = 61;
    const std::vector<uint8_t> bytes = BuildPacked(spec, &random).bytes;
    PackedWeights w;
    ASSERT_TRUE(ReadPackedWeights(bytes.data(), bytes.size(), &w).ok());
    EXPECT_EQ(w.filled, cols % 4 != 0);
    EXPECT_EQ(w.repacked_bytes() > 0, w.filled);
    EXPECT_EQ(w.bytes == reinterpret_cast<const int8_t*>(bytes.data() + 128), !w.filled);
  }
}

}  // namespace
}  // namespace tfprune
