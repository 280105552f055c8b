// SPDX-License-Identifier: Apache-2.0
// Planar sparse kernels: pixels lie across the vector, so a kept weight is one broadcast multiply-add over a tile of
// pixels and the start column of a group costs nothing.
//
// Contract. A tile is `Kernel::tile` neighbouring positions of planar input: value `p` of cell `g` is read at byte
// `cell_offsets[g] + 4 * p` from `TileArgs::x`, for `0 <= p < tile` whatever the number of useful positions is (the
// caller provides the room). For every row `r` of the lines asked for, over all cells `g` that hold a weight `w[g, r]`:
//
//     y[p, r] = min(max(bias[r] + sum_g w[g, r] * x[p, cell g], low), high)
//
// in the order of the cells. Results go to NHWC memory: position `p` of a segment `(begin, count, out)` is stored at
// `out[(p - begin) * out_stride + r]`; positions outside every segment are computed and dropped. `scratch` holds
// kScratchRows * tile floats and aliases nothing.
//
// A kernel with `tile == 1` is a matrix-vector kernel: `x` is one NHWC pixel and `cell_offsets` are 4 * column.
#ifndef TFPRUNE_KERNELS_PLANAR_PLANAR_H_
#define TFPRUNE_KERNELS_PLANAR_PLANAR_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/arch.h"
#include "tflite_ops/formats/packed_weights.h"

namespace tfprune {

constexpr size_t kMaxTile = 64;      // positions
constexpr size_t kMaxLanes = 16;     // floats in the widest vector: how far a kernel may read or write past an end
constexpr size_t kScratchRows = 64;  // rows kept planar before they are transposed to NHWC

// A run of useful positions of one tile that is contiguous in the output.
struct Segment {
  uint32_t begin;  // first position inside the tile
  uint32_t count;
  float* out;  // output of position `begin`, channel 0
};

struct TileArgs {
  const PackedWeights* weights;
  const uint32_t* cell_offsets;  // [group_count * group_cols], bytes
  const float* bias;             // [out_channels], or nullptr for zeros
  float low, high;               // clamp; infinities where there is none
  uint32_t row_begin, row_end;   // output rows to compute; for row-band both are band limits or out_channels
  const float* x;
  const Segment* segments;
  uint32_t segment_count;
  size_t out_stride;  // floats between neighbouring positions in the output
  float* scratch;
};

struct Kernel {
  const char* name;  // "row_band/avx512"
  size_t tile;       // positions a call computes
  void (*run)(const TileArgs&);
};

// NHWC to planar: `out[c * out_stride + p] = in[p * in_stride + c]` for p < count, c < channels. Up to kMaxLanes - 1
// floats behind each row of `count` may be overwritten.
using ToPlanarFn = void (*)(const float* in, size_t in_stride, size_t count, size_t channels, float* out,
                            size_t out_stride);

struct KernelSet {
  Kernel many;    // for many positions
  Kernel single;  // for one position, tile == 1
  ToPlanarFn to_planar;
};

// The kernels for `encoding` with groups of `group_rows` rows on `arch`. `arch` must be supported and not kReference.
KernelSet GetKernels(Arch arch, Encoding encoding, uint32_t group_rows);

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_PLANAR_PLANAR_H_
