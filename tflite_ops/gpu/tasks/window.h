// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_TASKS_WINDOW_H_
#define TFPRUNE_GPU_TASKS_WINDOW_H_

#include <math.h>
#include <stdint.h>

#include "tflite_ops/base/status.h"
#include "tflite_ops/gpu/tasks/task.h"

namespace tfprune {

// What moves over an image. Tap (i, j) of output pixel (y, x) reads input pixel
// (y * stride_h + i * dilation_h - pad_top, x * stride_w + j * dilation_w - pad_left).
struct Window {
  uint32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  uint32_t pad_top = 0, pad_left = 0;

  uint32_t taps() const { return kernel_h * kernel_w; }
};

// Least and largest result; infinities where there is no bound.
struct Bounds {
  float low = -INFINITY, high = INFINITY;
};

// Fails where a size is 0, batches differ, a place does not fit 31 bits, or the padding is a whole kernel or more.
Status CheckWindow(const char* task, const ImageShape& in, const ImageShape& out, const Window& window);

// The arguments in, out, moves and reach of window.cl.
void AddWindow(const ImageShape& in, const ImageShape& out, const Window& window, Task* task);

// Work-items that compute a block of pixels each, of `planes` planes.
size_t BlocksOf(const ImageShape& out, size_t planes);

}  // namespace tfprune

#endif  // TFPRUNE_GPU_TASKS_WINDOW_H_
