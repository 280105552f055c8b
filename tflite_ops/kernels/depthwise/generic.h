// SPDX-License-Identifier: Apache-2.0
// The depthwise kernels of one instruction set: `Simd`, and `Narrow` for images of at most Narrow::kLanes columns. An
// ISA file includes this once, in its own namespace and an unnamed one inside it, so code built with different compiler
// flags never meets in the linker.
//
// No include guard on purpose.

#include "tflite_ops/kernels/depthwise/any_shape.h"
#include "tflite_ops/kernels/depthwise/stencil.h"

template <int kKernel, int kStride>
constexpr auto StencilFor(const DepthwiseShape& shape) {
  return shape.out_width <= Narrow::kLanes ? RunStencil<Narrow, kKernel, kStride> : RunStencil<Simd, kKernel, kStride>;
}

// Zeros that the last output reads behind the last input.
inline int64_t PaddingBehind(uint32_t in, uint32_t out, uint32_t kernel, uint32_t stride, uint32_t before) {
  return int64_t{out - 1} * stride + kernel - before - in;
}

// Whether the stencils' masks and row limits cover the padding of `s`, as they do for all that SAME and VALID ask for.
inline bool FitsStencil(const DepthwiseShape& s) {
  const uint32_t most = s.kernel_w / 2;
  return s.kernel_h == s.kernel_w && s.stride_h == s.stride_w && s.dilation_h == 1 && s.dilation_w == 1 &&
         s.pad_left <= most && s.pad_top <= most &&
         PaddingBehind(s.in_width, s.out_width, s.kernel_w, s.stride_w, s.pad_left) <= most &&
         PaddingBehind(s.in_height, s.out_height, s.kernel_h, s.stride_h, s.pad_top) <= most;
}

inline DepthwiseKernel KernelFor(const DepthwiseShape& shape, const char* const (&names)[5]) {
  if (FitsStencil(shape)) {
    const uint32_t kind = shape.kernel_w * 10 + shape.stride_w;
    if (kind == 31) return {names[0], StencilFor<3, 1>(shape)};
    if (kind == 32) return {names[1], StencilFor<3, 2>(shape)};
    if (kind == 51) return {names[2], StencilFor<5, 1>(shape)};
    if (kind == 52) return {names[3], StencilFor<5, 2>(shape)};
  }
  return {names[4], RunAnyShape<Simd>};
}
