// SPDX-License-Identifier: Apache-2.0
// The parts of pooling's scratch: the line that one output row's windows cut out of the image, padded; for
// averages the number of columns of each window; and the line split into the phases of the stride.
#ifndef TFPRUNE_KERNELS_PLANES_POOL_LINES_H_
#define TFPRUNE_KERNELS_PLANES_POOL_LINES_H_

#include "tflite_ops/kernels/planes/planes.h"

namespace tfprune {

// Floats of one phase of the stride.
inline size_t PoolPhaseFloats(const PoolShape& s) {
  return size_t{s.out_width} + (s.kernel_w - 1) / s.stride_w + kMaxLanes;
}

// The padded line: as long as its phases, or as the image if that is longer, with room to write a vector and to
// read two pairs of vectors too far.
inline size_t PoolLineFloats(const PoolShape& s) {
  const size_t phases = PoolPhaseFloats(s) * s.stride_w, image = size_t{s.pad_left} + s.in_width;
  return (phases > image ? phases : image) + 5 * kMaxLanes;
}

inline size_t PoolCountFloats(const PoolShape& s) { return size_t{s.out_width} + kMaxLanes; }

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_PLANES_POOL_LINES_H_
