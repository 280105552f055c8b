// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/tasks/cells.h"

#include <gtest/gtest.h>

#include <vector>

#include "tflite_ops/testing/guarded_packed.h"
#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {
namespace {

// The dense matrix that cells mean.
std::vector<float> Decode(const Cells& cells, uint32_t in_channels) {
  std::vector<float> dense(size_t{cells.out_channels} * cells.taps * in_channels, 0.0f);
  for (uint32_t list = 0; list < cells.band_count * cells.taps; ++list) {
    const uint32_t first_row = static_cast<uint32_t>(cells.first_rows[list / cells.taps]);
    for (int32_t cell = cells.starts[list]; cell < cells.starts[list + 1]; ++cell) {
      const uint32_t column = list % cells.taps * in_channels + cells.channels[cell];
      for (uint32_t row = 0; row < cells.stride(); ++row) {
        const float value = cells.values[size_t{static_cast<uint32_t>(cell)} * cells.stride() + row];
        if (row < cells.group_rows && first_row + row < cells.out_channels) {
          dense[size_t{first_row + row} * cells.taps * in_channels + column] += value;
        } else {
          EXPECT_EQ(value, 0.0f);
        }
      }
    }
  }
  return dense;
}

TEST(Cells, HoldEveryWeightOnce) {
  std::mt19937 random(7);
  for (const uint32_t rows : {1u, 3u, 4u, 9u, 16u, 20u}) {
    for (const uint32_t cols : {1u, 2u, 5u}) {
      PackedSpec spec;
      spec.out_channels = 37;
      spec.kernel_h = 2;
      spec.kernel_w = 3;
      spec.in_channels = 11;
      spec.group_rows = rows;
      spec.group_cols = cols;
      const Packed packed = BuildPacked(spec, &random);
      GuardedPacked guarded(packed.bytes);
      ASSERT_TRUE(guarded.status.ok()) << guarded.status.message;
      Cells cells;
      ASSERT_TRUE(SparseCells(guarded.weights, &cells).ok());
      EXPECT_EQ(Decode(cells, spec.in_channels), packed.dense) << spec.Name();
      EXPECT_LE(cells.unit_rows, kMaxUnitRows);
      EXPECT_LT(cells.stride() - rows, cells.parts);
      for (uint32_t band = 1; band < cells.band_count; ++band) {
        const int32_t* start = cells.starts.data() + band * cells.taps;
        EXPECT_GE(start[0] - start[-static_cast<int>(cells.taps)], start[cells.taps] - start[0]) << "order of bands";
      }
    }
  }
}

// Bands of the given lengths, at the first channels.
void MakeCells(const std::vector<uint32_t>& lengths, uint32_t in_channels, Cells* cells) {
  Sections sections;
  PackedSpec spec;
  spec.out_channels = static_cast<uint32_t>(lengths.size()) * 4;
  spec.in_channels = in_channels;
  for (const uint32_t length : lengths) {
    for (uint32_t i = 0; i < length; ++i) sections.starts.push_back(i);
    AppendLine(ValueType::kFloat32, std::vector<float>(length * 4, 1.0f), 4, &sections.values);
    sections.line_counts.push_back(length);
  }
  std::mt19937 random(1);
  const GuardedPacked guarded(Assemble(spec, sections, ChooseForm(spec, sections, &random)));
  EXPECT_TRUE(guarded.status.ok()) << guarded.status.message;
  EXPECT_TRUE(SparseCells(guarded.weights, cells).ok());
}

TEST(Cells, BalancedWeightsLeaveNoLaneIdle) {
  Cells cells;
  MakeCells(std::vector<uint32_t>(32, 10), 40, &cells);
  EXPECT_TRUE(cells.equal);
  EXPECT_EQ(cells.cells_of_list, 10u);
  EXPECT_EQ(IdleLanes(cells, 16, 64), 0.0);
  // Of 32 * 49 work-items the last group holds half.
  EXPECT_NEAR(IdleLanes(cells, 49, 64), 1.0 - 24.5 / 25, 1e-12);
}

TEST(Cells, UnequalBandsAreSortedIntoGroups) {
  std::vector<uint32_t> lengths;
  for (uint32_t i = 0; i < 32; ++i) lengths.push_back(i % 2 == 0 ? 30 : 10);
  Cells cells;
  MakeCells(lengths, 40, &cells);
  EXPECT_FALSE(cells.equal);
  EXPECT_EQ(cells.first_rows[1], 8);   // the second band of the long ones
  EXPECT_EQ(cells.first_rows[16], 4);  // the first of the short ones
  EXPECT_EQ(IdleLanes(cells, 16, 64), 0.0);
  // In the order of the file every group of two bands would wait for a long one.
  int32_t start = 0;
  for (uint32_t i = 0; i < 32; ++i) cells.starts[i] = start, start += static_cast<int32_t>(lengths[i]);
  EXPECT_NEAR(IdleLanes(cells, 16, 64), 1.0 - 20.0 / 30, 1e-12);
}

}  // namespace
}  // namespace tfprune
