// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "tflite_ops/kernels/conv2d/conv2d.h"

namespace tfprune {
namespace {

float Activate(Activation activation, float value) {
  float low, high;
  ActivationBounds(activation, &low, &high);
  if (value < low) return low;
  if (value > high) return high;
  return value;
}

// Input of one output position; zero outside the image.
struct Position {
  const PackedWeights& w;
  const ConvShape& shape;
  const float* x;
  uint32_t n, oy, ox;

  float Input(uint32_t column) const {
    const int64_t tap = column / w.in_channels, channel = column % w.in_channels;
    const int64_t iy = int64_t{oy} * w.stride_h + tap / w.kernel_w * w.dilation_h - shape.pad_top;
    const int64_t ix = int64_t{ox} * w.stride_w + tap % w.kernel_w * w.dilation_w - shape.pad_left;
    if (iy < 0 || iy >= shape.in.height || ix < 0 || ix >= shape.in.width) return 0.0f;
    return x[((n * int64_t{shape.in.height} + iy) * shape.in.width + ix) * w.in_channels + channel];
  }
};

void AddGroups(const PackedWeights& w, const Position& position, float* out) {
  const float* value = w.values;
  ForEachGroup(w, [&](uint32_t line, uint32_t, uint32_t start) {
    for (uint32_t column = start; column < start + w.group_cols; ++column) {
      const float input = position.Input(column);
      const uint32_t first = w.FirstRow(line), rows = w.RowsOfLine(line);
      for (uint32_t i = 0; i < rows; ++i) {
        // In a sliding-row group, slot i holds the row whose number is i modulo the group's rows.
        const uint32_t row = w.encoding == Encoding::kRowBand ? first + i : first + (i + rows - first % rows) % rows;
        out[row] += *value++ * input;
      }
    }
  });
}

void AddBlocks(const PackedWeights& w, const Position& position, float* out) {
  const float* value = w.values;
  uint32_t number = 0;
  for (uint32_t band = 0; band < w.band_count; ++band) {
    for (; number < w.band_ends[band]; ++number) {
      const Block block = BlockOf(w, band, number);
      const Chunks chunks(block.row_count, w.group_rows);
      const uint8_t* rows = block.rows;
      for (uint32_t chunk = 0; chunk < chunks.count; rows += chunks.Rows(chunk++)) {
        uint32_t column = 0;
        for (uint32_t i = 0; i < block.column_count; ++i) {
          column += w.Step(block.first_group + i);
          const float input = position.Input(column);
          for (uint32_t r = 0; r < chunks.Rows(chunk); ++r) out[block.first_row + rows[r]] += *value++ * input;
        }
      }
    }
  }
}

}  // namespace

void ReferenceConv2D(const PackedWeights& w, const ConvShape& shape, const float* x, const float* bias, float* y) {
  for (uint32_t n = 0; n < shape.out.batch; ++n) {
    for (uint32_t oy = 0; oy < shape.out.height; ++oy) {
      for (uint32_t ox = 0; ox < shape.out.width; ++ox) {
        float* out = y + ((size_t{n} * shape.out.height + oy) * shape.out.width + ox) * w.out_channels;
        for (uint32_t r = 0; r < w.out_channels; ++r) out[r] = bias == nullptr ? 0.0f : bias[r];
        const Position position = {w, shape, x, n, oy, ox};
        if (w.in_blocks()) {
          AddBlocks(w, position, out);
        } else {
          AddGroups(w, position, out);
        }
        for (uint32_t r = 0; r < w.out_channels; ++r) out[r] = Activate(w.activation, out[r]);
      }
    }
  }
}

}  // namespace tfprune
