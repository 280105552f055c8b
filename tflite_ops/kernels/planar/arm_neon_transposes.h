// SPDX-License-Identifier: Apache-2.0
// Transposes of eight positions on NEON, see moves.h. Strides are in bytes, at least one round is run, and exactly the
// values named are read and written.
#ifndef TFPRUNE_KERNELS_PLANAR_ARM_NEON_TRANSPOSES_H_
#define TFPRUNE_KERNELS_PLANAR_ARM_NEON_TRANSPOSES_H_

#include <stddef.h>

extern "C" {
// Channel c of position p, for c < 8 * eights: `out[c * out_stride + p] = in[p * in_stride + c]`.
void tfprune_neon_to_planar_8(const float* in, size_t in_stride, size_t eights, float* out, size_t out_stride);
// The inverse for c < 4 * fours: `out[p * out_stride + c] = in[c * in_stride + p]`.
void tfprune_neon_from_planar_8(const float* in, size_t in_stride, size_t fours, float* out, size_t out_stride);
}

#endif  // TFPRUNE_KERNELS_PLANAR_ARM_NEON_TRANSPOSES_H_
