// SPDX-License-Identifier: Apache-2.0
// The kernels called directly: every width, any range of rows, with and without bias, addend and clamp.
#include <gtest/gtest.h>
#include <math.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tflite_ops/kernels/planar/planar.h"
#include "tflite_ops/testing/guarded.h"
#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {
namespace {

constexpr Arch kArchs[] = {
#define TFPRUNE_ISA(name, value) Arch::value,
#include "tflite_ops/kernels/planar/isa.inc"
#undef TFPRUNE_ISA
};

// The value of position p of column (or of the addend's row) c.
float ValueOf(uint32_t c, uint32_t p) { return static_cast<float>((c * 37 + p * 101) % 19) / 8.0f - 1.0f; }

// Where the cells of a layer lie, in the form that the kernel reads. Columns are `width` floats apart.
std::vector<uint32_t> PlacesFor(const PackedWeights& w, const Kernel& kernel, uint32_t width) {
  std::vector<std::vector<uint32_t>> lines(w.line_count);
  ForEachGroup(w, [&](uint32_t line, uint32_t, uint32_t start) {
    for (uint32_t i = 0; i < w.group_cols; ++i) lines[line].push_back((start + i) * width * 4);
  });
  std::vector<uint32_t> offsets, places;
  for (const auto& line : lines) offsets.insert(offsets.end(), line.begin(), line.end());
  if (!kernel.steps) return offsets;
  size_t cell = 0;
  offsets.push_back(0);
  for (uint32_t line = 0; line < w.line_count + kEmptyLines; ++line) {
    EXPECT_EQ(places.size(), StepsBegin(w, line));
    const size_t count = line < w.line_count ? lines[line].size() : 0;
    places.push_back(static_cast<uint32_t>(count));
    places.push_back(offsets[cell]);
    for (size_t i = 0; i < count; ++i, ++cell) places.push_back(offsets[cell + 1] - offsets[cell]);
  }
  return places;
}

struct Range {
  uint32_t begin, end;
};

struct Extras {
  bool bias, addend, clamp;
};

class Rows {
 public:
  Rows(const PackedSpec& spec, Arch arch, uint32_t seed) : random_(seed), packed_(BuildPacked(spec, &random_)) {
    bytes_ = packed_.bytes;
    const Status read = ReadPackedWeights(bytes_.data(), bytes_.size(), &w_);
    EXPECT_TRUE(read.ok()) << read.message;
    kernel_ = GetKernels(arch, spec.encoding, spec.group_rows).many;
    for (uint32_t r = 0; r < w_.out_channels; ++r) bias_.push_back(ValueOf(r, 5));
  }

  std::vector<Range> Ranges() {
    std::vector<Range> ranges = {{0, w_.out_channels}};
    const uint32_t step = w_.encoding == Encoding::kRowBand ? w_.group_rows : 1;
    for (int i = 0; i < 6; ++i) {
      const uint32_t begin = static_cast<uint32_t>(random_() % w_.out_channels) / step * step;
      const uint32_t end = begin + (1 + static_cast<uint32_t>(random_() % 9)) * step;
      ranges.push_back({begin, end < w_.out_channels ? end : w_.out_channels});
    }
    return ranges;
  }

  // Rows [begin, end) at one width; what is read and written ends at guard pages.
  std::vector<float> Run(uint32_t index, const Range& range, const Extras& extras) {
    const uint32_t width = kernel_.widths[index], columns = static_cast<uint32_t>(w_.columns());
    Guarded<float> x(size_t{columns} * width), out(size_t{range.end - range.begin} * width);
    Guarded<float> addend(size_t{w_.out_channels} * width), bias(bias_);
    for (size_t i = 0; i < x.size(); ++i) x[i] = ValueOf(static_cast<uint32_t>(i) / width, i % width);
    for (size_t i = 0; i < addend.size(); ++i) addend[i] = ValueOf(static_cast<uint32_t>(i) / width, i % width + 3);
    Guarded<uint32_t> places(PlacesFor(w_, kernel_, width));
    TileArgs args = {};
    args.weights = &w_;
    args.cell_offsets = places.data();
    args.bias = extras.bias ? bias.data() : nullptr;
    args.low = extras.clamp ? -0.5f : -INFINITY;
    args.high = extras.clamp ? 0.75f : INFINITY;
    args.row_begin = range.begin;
    args.row_end = range.end;
    args.x = x.data();
    args.addend = extras.addend ? addend.data() : nullptr;
    args.addend_stride = width;
    args.rows = out.data();
    args.row_stride = width;
    args.room = UINT32_MAX;
    kernel_.runs[index](args);
    return std::vector<float>(out.data(), out.data() + out.size());
  }

  double Expected(uint32_t row, uint32_t p, const Extras& extras) const {
    const size_t columns = w_.columns();
    double sum = extras.bias ? bias_[row] : 0.0;
    for (size_t c = 0; c < columns; ++c) sum += packed_.dense[row * columns + c] * ValueOf(static_cast<uint32_t>(c), p);
    if (extras.addend) sum += ValueOf(row, p + 3);
    return extras.clamp ? std::min(std::max(sum, -0.5), 0.75) : sum;
  }

  void Check(const Range& range, const Extras& extras, const std::string& where) {
    std::vector<float> narrowest;
    for (uint32_t index = kMaxTails; index-- > 0;) {
      if (kernel_.runs[index] == nullptr) continue;
      const uint32_t width = kernel_.widths[index];
      const std::vector<float> y = Run(index, range, extras);
      const std::string here = where + " width " + std::to_string(width) + " rows " + std::to_string(range.begin) +
                               " to " + std::to_string(range.end);
      if (narrowest.empty()) narrowest = y;
      for (uint32_t r = range.begin; r < range.end; ++r) {
        for (uint32_t p = 0; p < width; ++p) {
          const float got = y[(r - range.begin) * width + p];
          ASSERT_NEAR(got, Expected(r, p, extras), 1e-4) << here << " row " << r << " position " << p;
          if (p >= kernel_.lanes) continue;
          ASSERT_EQ(got, narrowest[(r - range.begin) * kernel_.lanes + p]) << here << ": depends on the width";
        }
      }
    }
  }

 private:
  std::mt19937 random_;
  Packed packed_;
  std::vector<uint8_t> bytes_;
  PackedWeights w_;
  Kernel kernel_ = {};
  std::vector<float> bias_;
};

void CheckLayers(Encoding encoding) {
  uint32_t seed = 0;
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    for (const uint32_t rows : {1u, 2u, 3u, 4u, 8u, 16u}) {
      for (const uint32_t out_channels : {rows, rows + 1, 2 * rows + 3, 29u}) {
        PackedSpec spec;
        spec.encoding = encoding;
        spec.group_rows = rows;
        spec.out_channels = out_channels;
        spec.group_cols = 1 + seed % 3;
        spec.in_channels = 21;
        spec.density = seed % 2 == 0 ? 0.1 : 0.5;
        Rows layer(spec, arch, ++seed);
        for (const Range& range : layer.Ranges()) {
          const Extras extras = {seed % 2 == 0, seed % 3 == 0, seed % 5 < 3};
          layer.Check(range, extras, spec.Name() + " " + ArchName(arch));
        }
      }
    }
  }
}

TEST(Rows, BandsAtEveryWidthAndRange) { CheckLayers(Encoding::kRowBand); }

TEST(Rows, SlidingRowsAtEveryWidthAndRange) { CheckLayers(Encoding::kSlidingRow); }

}  // namespace
}  // namespace tfprune
