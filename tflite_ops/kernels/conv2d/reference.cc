// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "tflite_ops/kernels/conv2d/conv2d.h"

namespace tfprune {
namespace {

float Activate(Activation activation, float value) {
  if (activation != Activation::kNone && value < 0.0f) return 0.0f;
  if (activation == Activation::kRelu6 && value > 6.0f) return 6.0f;
  return value;
}

}  // namespace

void ReferenceConv2D(const PackedWeights& w, const ConvShape& shape, const float* x, const float* bias, float* y) {
  for (uint32_t n = 0; n < shape.out.batch; ++n) {
    for (uint32_t oy = 0; oy < shape.out.height; ++oy) {
      for (uint32_t ox = 0; ox < shape.out.width; ++ox) {
        float* out = y + ((size_t{n} * shape.out.height + oy) * shape.out.width + ox) * w.out_channels;
        for (uint32_t r = 0; r < w.out_channels; ++r) out[r] = bias == nullptr ? 0.0f : bias[r];
        const float* value = w.values;
        ForEachGroup(w, [&](uint32_t line, uint32_t, uint32_t start) {
          for (uint32_t column = start; column < start + w.group_cols; ++column) {
            const int64_t tap = column / w.in_channels, channel = column % w.in_channels;
            const int64_t iy = int64_t{oy} * w.stride_h + tap / w.kernel_w * w.dilation_h - shape.pad_top;
            const int64_t ix = int64_t{ox} * w.stride_w + tap % w.kernel_w * w.dilation_w - shape.pad_left;
            const bool inside = iy >= 0 && iy < shape.in.height && ix >= 0 && ix < shape.in.width;
            const float input =
                inside ? x[((n * int64_t{shape.in.height} + iy) * shape.in.width + ix) * w.in_channels + channel]
                       : 0.0f;
            const uint32_t first = w.FirstRow(line), rows = w.RowsOfLine(line);
            for (uint32_t i = 0; i < rows; ++i) {
              // In a sliding-row group, slot i holds the row whose number is i modulo the group's rows.
              const uint32_t row =
                  w.encoding == Encoding::kRowBand ? first + i : first + (i + rows - first % rows) % rows;
              out[row] += *value++ * input;
            }
          }
        });
        for (uint32_t r = 0; r < w.out_channels; ++r) out[r] = Activate(w.activation, out[r]);
      }
    }
  }
}

}  // namespace tfprune
