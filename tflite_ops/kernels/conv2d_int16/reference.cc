// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/conv2d_int16/conv2d_int16.h"

namespace tfprune {

bool ReferenceInt16Conv2D(const PackedWeights& w, const Int16Channels& channels, const ConvShape& shape, const void* x,
                          void* y) {
  const bool int16 = w.activation_type == ActivationType::kInt16;
  AlignedArray<int64_t> sums;
  if (!sums.Reserve(w.out_channels)) return false;
  for (size_t pixel = 0; pixel < size_t{shape.out.batch} * shape.out.height * shape.out.width; ++pixel) {
    const size_t n = pixel / shape.out.width / shape.out.height;
    const int64_t oy = pixel / shape.out.width % shape.out.height, ox = pixel % shape.out.width;
    for (uint32_t r = 0; r < w.out_channels; ++r) sums[r] = channels.rules[r].bias;
    ForEachWeight(w, [&](uint32_t row, uint32_t column, size_t index) {
      const int64_t tap = column / w.in_channels, channel = column % w.in_channels;
      const int64_t iy = oy * w.stride_h + tap / w.kernel_w * w.dilation_h - shape.pad_top;
      const int64_t ix = ox * w.stride_w + tap % w.kernel_w * w.dilation_w - shape.pad_left;
      if (iy < 0 || iy >= shape.in.height || ix < 0 || ix >= shape.in.width) return;
      const size_t at = ((n * shape.in.height + iy) * shape.in.width + ix) * w.in_channels + channel;
      const int64_t input = InputAt(w.activation_type, x, at);
      const int64_t weight = w.value_type == ValueType::kUInt8 ? w.unsigned_bytes[index] : w.bytes[index];
      sums[row] += (weight - w.weight_zero_point) * (input - w.input_zero_point);
    });
    for (uint32_t r = 0; r < w.out_channels; ++r) {
      const int32_t value = Requantize(channels.rules[r], channels.range, sums[r]);
      const size_t at = pixel * w.out_channels + r;
      if (int16) {
        static_cast<int16_t*>(y)[at] = static_cast<int16_t>(value);
      } else {
        static_cast<uint8_t*>(y)[at] = static_cast<uint8_t>(value);
      }
    }
  }
  return true;
}

}  // namespace tfprune
