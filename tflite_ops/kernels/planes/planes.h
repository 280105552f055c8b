// SPDX-License-Identifier: Apache-2.0
// What stands between convolutions in a chain of planes besides depthwise convolutions: sums of two tensors,
// pooling and global means. A plane holds one channel, row by row.
//
// Contract. `clamp(v)` is min(max(v, low), high), and a NaN passes through it. No alignment is asked for. The order of
// a sum depends on the shape and the instruction set only, never on how much is asked for in one call.
//
// add:       out[i] = clamp(a[i] + b[i]) for i < count; out may be a or b.
// mean:      out[c] = clamp(sum_{i < count} x[c * stride + i] / count) for c < channels; count >= 1.
//
// Both read and write nothing outside the given ranges.
//
// max_pool, average_pool: for each channel c < channels and output row oy in [out_first, out_first + out_count), with
// the window W of the positions (oy * stride_h + ky - pad_top, ox * stride_w + kx - pad_left) that lie inside the
// image:
//
//     y[c][oy][ox] = clamp(max_W x)    or    clamp(sum_W x / number of positions in W)
//
// W must not be empty. The maximum of values among which is a NaN is NaN or the maximum of some of the others. Rows are
// laid out as for depthwise convolutions: input row r of channel c at `in + c * in_stride + (r - in_first) * in_width`,
// output row r at `out + c * out_stride + (r - out_first) * out_width`. Up to kMaxLanes - 1 floats behind the last
// input row of a channel may be read (they have no bearing on the result) and as many behind the last output row of a
// channel overwritten, before later channels of the same call are written. `in`, `out` and `scratch` do not overlap.
#ifndef TFPRUNE_KERNELS_PLANES_PLANES_H_
#define TFPRUNE_KERNELS_PLANES_PLANES_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/arch.h"
#include "tflite_ops/kernels/planar/planar.h"

namespace tfprune {

// All sizes and strides are at least 1, and every position fits 31 bits.
struct PoolShape {
  uint32_t in_height, in_width, out_height, out_width;
  uint32_t kernel_h, kernel_w, stride_h, stride_w;
  uint32_t pad_top, pad_left;
};

struct PoolArgs {
  uint32_t channels;
  const float* in;
  size_t in_stride;
  uint32_t in_first, in_count;
  float* out;
  size_t out_stride;
  uint32_t out_first, out_count;
  float low, high;  // infinities where there is no clamp
  float* scratch;   // PoolScratchFloats(shape) floats of any content
};

struct PlaneKernels {
  const char* name;  // "planes/avx512"
  void (*add)(const float* a, const float* b, size_t count, float low, float high, float* out);
  void (*mean)(const float* x, size_t stride, size_t count, uint32_t channels, float low, float high, float* out);
  void (*max_pool)(const PoolShape& shape, const PoolArgs& args);
  void (*average_pool)(const PoolShape& shape, const PoolArgs& args);
};

// The kernels of `arch`, which must be supported; kReference gives the plain loops, the oracle of the others.
PlaneKernels GetPlaneKernels(Arch arch);
PlaneKernels ReferencePlaneKernels();

// Scratch that pooling of `shape` needs on any arch.
size_t PoolScratchFloats(const PoolShape& shape);

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_PLANES_PLANES_H_
