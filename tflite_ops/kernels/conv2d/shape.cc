// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/conv2d/conv2d.h"

namespace tfprune {
namespace {

constexpr uint64_t kMaxSize = (uint64_t{1} << 31) - 1;

// One axis: output size and the zeros before the first input.
Status InferAxis(const char* axis, uint64_t size, uint64_t kernel, uint64_t stride, uint64_t dilation, Padding padding,
                 uint32_t* out, uint32_t* pad) {
  const uint64_t extent = (kernel - 1) * dilation + 1;
  if (padding == Padding::kValid) {
    if (extent > size) {
      return Error("convolution: the kernel reaches over %llu input %s, there are %llu",
                   static_cast<unsigned long long>(extent), axis, static_cast<unsigned long long>(size));
    }
    *out = static_cast<uint32_t>((size - extent) / stride + 1);
    *pad = 0;
    return {};
  }
  const uint64_t count = (size + stride - 1) / stride;
  const uint64_t reach = (count - 1) * stride + extent;
  const uint64_t zeros = reach > size ? reach - size : 0;
  if (zeros / 2 > kMaxSize) return Error("convolution: the padding of %s is above 2^31", axis);
  *out = static_cast<uint32_t>(count);
  *pad = static_cast<uint32_t>(zeros / 2);
  return {};
}

}  // namespace

Status InferConvShape(const PackedWeights& w, const ImageSize& in, ConvShape* shape) {
  shape->in = in;
  shape->out.batch = in.batch;
  TFPRUNE_RETURN_IF_ERROR(InferAxis("rows", in.height, w.kernel_h, w.stride_h, w.dilation_h, w.padding,
                                    &shape->out.height, &shape->pad_top));
  TFPRUNE_RETURN_IF_ERROR(InferAxis("columns", in.width, w.kernel_w, w.stride_w, w.dilation_w, w.padding,
                                    &shape->out.width, &shape->pad_left));
  size_t pixels = 0, values = 0;
  if (!CheckedMultiply(shape->out.height, shape->out.width, &pixels) || !CheckedMultiply(pixels, in.batch, &pixels) ||
      pixels > kMaxSize || !CheckedMultiply(pixels, w.out_channels, &values) || values > (SIZE_MAX >> 3)) {
    return Error("convolution: the output has too many values");
  }
  return {};
}

}  // namespace tfprune
