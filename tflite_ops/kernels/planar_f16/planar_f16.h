// SPDX-License-Identifier: Apache-2.0
// Planar sparse kernels in half precision: those of planar.h with float16 planes, weights, bias, sums and clamp. Inputs
// and outputs of a layer stay float32; they are rounded on their way into the planes and widened on their way out.
//
// Contract: that of planar.h, with these differences. `TileArgs::x` and `TileArgs::rows` point at float16 values, and
// value `p` of cell `g` is read at byte `cell_offsets[g] + 2 * p`. Weights are `TileArgs::halves`, in the order of
// `PackedWeights::values`. Every product is added with one rounding to float16, in the order of the cells; a sum beyond
// 65504 is infinite. There is no addend, and at least one segment.
#ifndef TFPRUNE_KERNELS_PLANAR_F16_PLANAR_F16_H_
#define TFPRUNE_KERNELS_PLANAR_F16_PLANAR_F16_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/formats/packed_weights.h"
#include "tflite_ops/kernels/planar/planar.h"

namespace tfprune {

// As ToPlanarFn, but `out` points at float16 values, and so does `out_stride` count.
using ToHalfPlanarFn = ToPlanarFn;
// `out[i]` is `in[i]` rounded to the nearest float16, ties to even, for i < count.
using ToHalvesFn = void (*)(const float* in, size_t count, uint16_t* out);

struct HalfKernelSet {
  Kernel many;
  ToHalfPlanarFn to_planar;
  ToHalvesFn to_halves;
};

// The kernels for row-band and sliding-row with groups of `group_rows` rows; `many.runs[0]` is null for the other
// encodings and where this build has none. Needs HasHalfArithmetic().
HalfKernelSet GetHalfKernels(Encoding encoding, uint32_t group_rows);

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_PLANAR_F16_PLANAR_F16_H_
