// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/tasks/window.h"

namespace tfprune {
namespace {

Status CheckAxis(const char* task, const char* axis, uint64_t out, uint64_t kernel, uint64_t stride, uint64_t dilation,
                 uint64_t pad) {
  constexpr uint64_t kMost = (uint64_t{1} << 31) - 1;
  if (kernel == 0 || stride == 0 || dilation == 0) {
    return Error("gpu %s: kernel, stride and dilation of %s must be at least 1", task, axis);
  }
  // Blocks reach up to a block behind the last pixel.
  if (stride > kMost || dilation > kMost || kernel > kMost || (kernel - 1) * dilation > kMost ||
      (out + kBlock) * stride > kMost || (out + kBlock) * stride + (kernel - 1) * dilation > kMost) {
    return Error("gpu %s: the kernel reaches over 2^31 %s or more", task, axis);
  }
  if (pad > (kernel - 1) * dilation) {
    return Error("gpu %s: a padding of %llu %s is larger than a kernel that reaches over %llu can use", task,
                 static_cast<unsigned long long>(pad), axis,
                 static_cast<unsigned long long>((kernel - 1) * dilation + 1));
  }
  return {};
}

}  // namespace

Status CheckWindow(const char* task, const ImageShape& in, const ImageShape& out, const Window& window) {
  TFPRUNE_RETURN_IF_ERROR(CheckImage(task, in));
  TFPRUNE_RETURN_IF_ERROR(CheckImage(task, out));
  if (in.batch != out.batch) {
    return Error("gpu %s: the input has %u images, the output %u", task, in.batch, out.batch);
  }
  TFPRUNE_RETURN_IF_ERROR(
      CheckAxis(task, "rows", out.height, window.kernel_h, window.stride_h, window.dilation_h, window.pad_top));
  return CheckAxis(task, "columns", out.width, window.kernel_w, window.stride_w, window.dilation_w, window.pad_left);
}

void AddWindow(const ImageShape& in, const ImageShape& out, const Window& window, Task* task) {
  const Planes from(in), to(out);
  task->AddInt4(in.height, in.width, from.channel_stride, from.image_stride);
  task->AddInt4(out.height, out.width, to.channel_stride, to.image_stride);
  task->AddInt4(window.stride_h, window.stride_w, window.dilation_h, window.dilation_w);
  task->AddInt4(window.kernel_h, window.kernel_w, window.pad_top, window.pad_left);
}

size_t BlocksOf(const ImageShape& out, size_t planes) { return (out.pixels() + kBlock - 1) / kBlock * planes; }

}  // namespace tfprune
