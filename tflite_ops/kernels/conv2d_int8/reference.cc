// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "tflite_ops/kernels/conv2d_int8/conv2d_int8.h"

namespace tfprune {
namespace {

// Quantises the whole input, image by image or pixel by pixel.
void QuantizeInput(const PackedWeights& w, const ConvShape& shape, bool per_pixel, const float* x, int8_t* out,
                   QuantizedRange* ranges) {
  const size_t pixels = size_t{shape.in.height} * shape.in.width;
  const size_t parts = shape.in.batch * (per_pixel ? pixels : 1);
  const size_t count = w.in_channels * (per_pixel ? 1 : pixels);
  for (size_t part = 0; part < parts; ++part) {
    float low, high;
    FindRange(x + part * count, count, &low, &high);
    ranges[part] = RangeOf(low, high);
    Quantize(x + part * count, count, ranges[part], out + part * count);
  }
}

}  // namespace

bool ReferenceInt8Conv2D(const PackedWeights& w, const Int8Channels& channels, const ConvShape& shape, const void* x,
                         const void* bias, void* y) {
  const bool int8 = w.HasInt8Activations();
  const bool per_pixel = IsPointwise(w);
  const size_t pixels = size_t{shape.in.batch} * shape.in.height * shape.in.width;
  AlignedArray<int8_t> quantized;
  AlignedArray<QuantizedRange> ranges;
  AlignedArray<int64_t> sums;
  if (!sums.Reserve(w.out_channels) ||
      (!int8 && (!quantized.Reserve(pixels * w.in_channels) || !ranges.Reserve(pixels))))
    return false;
  if (!int8) QuantizeInput(w, shape, per_pixel, static_cast<const float*>(x), quantized.data(), ranges.data());
  const int8_t* input = int8 ? static_cast<const int8_t*>(x) : quantized.data();
  for (size_t pixel = 0; pixel < size_t{shape.out.batch} * shape.out.height * shape.out.width; ++pixel) {
    const size_t n = pixel / shape.out.width / shape.out.height;
    const int64_t oy = pixel / shape.out.width % shape.out.height, ox = pixel % shape.out.width;
    const QuantizedRange range = int8 ? QuantizedRange{1, 1, w.input_zero_point} : ranges[per_pixel ? pixel : n];
    for (uint32_t r = 0; r < w.out_channels; ++r) {
      sums[r] = int8 && bias != nullptr ? static_cast<const int32_t*>(bias)[r] : 0;
    }
    ForEachWeight(w, [&](uint32_t row, uint32_t column, size_t index) {
      const int64_t tap = column / w.in_channels, channel = column % w.in_channels;
      const int64_t iy = oy * w.stride_h + tap / w.kernel_w * w.dilation_h - shape.pad_top;
      const int64_t ix = ox * w.stride_w + tap % w.kernel_w * w.dilation_w - shape.pad_left;
      if (iy < 0 || iy >= shape.in.height || ix < 0 || ix >= shape.in.width) return;
      const size_t at = ((n * shape.in.height + iy) * shape.in.width + ix) * w.in_channels + channel;
      sums[row] += int64_t{w.bytes[index]} * (input[at] - range.zero_point);
    });
    for (uint32_t r = 0; r < w.out_channels; ++r) {
      const int32_t sum = static_cast<int32_t>(sums[r]);
      const size_t at = pixel * w.out_channels + r;
      if (int8) {
        static_cast<int8_t*>(y)[at] = FinishInt8(w, channels, r, sum);
      } else {
        const float* offsets = static_cast<const float*>(bias);
        static_cast<float*>(y)[at] = FinishFloat(w, channels, r, sum, range.scale, offsets);
      }
    }
  }
  return true;
}

}  // namespace tfprune
