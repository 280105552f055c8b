// SPDX-License-Identifier: Apache-2.0
// Planar sparse kernels: pixels lie across the vector, so a kept weight is one broadcast multiply-add over a tile of
// pixels and the start column of a group costs nothing.
//
// Contract. A call computes `n` neighbouring positions, a whole number of vectors. Value `p` of cell `g` is read at
// byte `cell_offsets[g] + 4 * p` from `TileArgs::x`, for `0 <= p < n` whatever the number of useful positions is (the
// caller provides the room). For every row `r` of the lines asked for, over all cells `g` that hold a weight `w[g, r]`:
//
//     y[p, r] = min(max(bias[r] + sum_g w[g, r] * x[p, cell g] + addend[r * addend_stride + p], low), high)
//
// in the order of the cells, the addend only where there is one. Row `row_begin + i` is written to `rows + (i -
// flushed) * row_stride`, `n` floats each. Where fewer than all rows fit into `room`, the kernel flushes them as often
// as needed, and once at the end: position `p` of a segment `(begin, count, out)` goes to `out[(p - begin) *
// position_stride + r * channel_stride]`; positions outside every segment are dropped. With no segments results stay in
// `rows`, which must then have room for all. `rows` aliases neither x nor the outputs.
//
// A kernel with `steps` takes the same places line by line in the form of its loop, from `StepsBegin(line)` on: the
// number of cells of the line, the offset of the next cell (the line's own first, where it has any), and for each cell
// the bytes from it to the next cell, be it of a later line. Behind the last line there are kEmptyLines without cells.
//
// A kernel with `tile == 1` is a matrix-vector kernel: `x` is one NHWC pixel, `cell_offsets` are 4 * column, and rows
// go straight to segment 0, whose channel_stride is 1. It reads the weights and the columns of a file where they lie as
// far as it can: float16 weights where ReadsHalvesOfPixel says so, and columns where NeedsOffsetsOfPixel does not;
// `values` and `cell_offsets` may then be null.
#ifndef TFPRUNE_KERNELS_PLANAR_PLANAR_H_
#define TFPRUNE_KERNELS_PLANAR_PLANAR_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/arch.h"
#include "tflite_ops/formats/packed_weights.h"
#include "tflite_ops/kernels/planar/tiled_image.h"

namespace tfprune {

constexpr size_t kMaxTile = 64;      // positions
constexpr size_t kMaxLanes = 16;     // floats in the widest vector: how far a kernel may read or write past an end
constexpr size_t kScratchRows = 64;  // at least kMaxBandRows: rows kept planar before they are moved to their segments

// A run of useful positions of one tile whose outputs are evenly spaced.
struct Segment {
  uint32_t begin;  // first position inside the tile
  uint32_t count;
  float* out;  // output of position `begin`, channel 0
};

struct TileArgs {
  const PackedWeights* weights;
  const uint32_t* cell_offsets;  // [group_count * group_cols], bytes; or steps
  const float* bias;             // [out_channels], or nullptr for zeros
  float low, high;               // clamp; infinities where there is none
  uint32_t row_begin, row_end;   // output rows to compute; limits of bands (row-band, blocks) or out_channels
  const float* x;
  const float* addend;  // of row 0, or nullptr; matrix-vector kernels have none
  size_t addend_stride;
  float* rows;
  size_t row_stride;  // floats
  uint32_t room;      // rows, at least kScratchRows
  const Segment* segments;
  uint32_t segment_count;
  size_t position_stride, channel_stride;  // floats between neighbours in the output; one of the two is 1
  const uint16_t* halves;                  // weights of the kernels in half precision, see planar_f16.h
  // Bands of one row only, nullptr elsewhere: ends of the cells of every line in every part of the columns,
  // [part_count][line_count]. The last part's are those of the lines.
  const uint32_t* part_ends;
  uint32_t part_count;
};

using TileFn = void (*)(const TileArgs&);

// Lines without cells behind the last: sliding rows in rounds of up to four have as many more rows than lines.
constexpr uint32_t kEmptyLines = 6;

// Where the steps of a line begin. `line` may be behind the last.
inline size_t StepsBegin(const PackedWeights& weights, uint32_t line) {
  return weights.FirstCell(line < weights.line_count ? line : weights.line_count) + 2 * size_t{line};
}

constexpr uint32_t kMaxTails = 4;

// One kernel at several widths: `runs[i]` computes `widths[i]` positions, from `tile` down to one vector.
struct Kernel {
  const char* name;  // "row_band/avx512"
  uint32_t tile;     // positions the widest computes
  uint32_t lanes;    // positions of a vector
  uint32_t widths[kMaxTails];
  TileFn runs[kMaxTails];
  bool steps;  // whether places come as steps

  // The widest that computes no more vectors than `positions` need; its width goes to `width`.
  TileFn Fit(size_t positions, uint32_t* width) const {
    uint32_t i = 0;
    while (widths[i] > lanes && widths[i] >= positions + lanes) ++i;
    *width = widths[i];
    return runs[i];
  }

  // Without its widest version, where it has a narrower one.
  Kernel Narrower() const {
    if (tile <= lanes) return *this;
    Kernel narrower = *this;
    narrower.tile = widths[1];
    for (uint32_t i = 0; i + 1 < kMaxTails; ++i) {
      narrower.runs[i] = runs[i + 1];
      narrower.widths[i] = widths[i + 1];
    }
    narrower.runs[kMaxTails - 1] = nullptr;
    narrower.widths[kMaxTails - 1] = 0;
    return narrower;
  }
};

// A kernel of one width, whose vector is as wide.
inline Kernel OneWidth(const char* name, uint32_t positions, TileFn run) {
  return {name, positions, positions, {positions}, {run}, false};
}

// NHWC to planar: `out[c * out_stride + p] = in[p * in_stride + c]` for p < count, c < channels. Up to kMaxLanes - 1
// floats behind each row of `count` may be overwritten.
using ToPlanarFn = void (*)(const float* in, size_t in_stride, size_t count, size_t channels, float* out,
                            size_t out_stride);
// The inverse: `out[p * out_stride + c] = in[c * in_stride + p]`. Up to kMaxLanes - 1 floats behind each row of `count`
// may be read; nothing is written beyond `channels`.
using FromPlanarFn = void (*)(const float* in, size_t in_stride, size_t count, size_t channels, float* out,
                              size_t out_stride);
// `out[i] = in[i * stride]` for i < count, stride at least 1. Reads nothing behind in[(count - 1) * stride]; up to
// kMaxLanes - 1 floats behind `out` may be overwritten.
using CopyStridedFn = void (*)(const float* in, size_t stride, size_t count, float* out);

struct KernelSet {
  Kernel many;    // for many positions
  Kernel single;  // for one position, tile == 1
  ToPlanarFn to_planar;
  FromPlanarFn from_planar;
  CopyStridedFn copy_strided;
  GatherFn gather;
  ScatterFn scatter;
  uint32_t half_rows = 0;  // `single` reads float16 weights of lines of a multiple of so many rows; 0: never
};

// Sliding groups that the matrix-vector kernel holds in registers.
inline bool HasSlidingPixelRows(const PackedWeights& w) {
  return w.group_cols == 1 && (w.group_rows == 4 || w.group_rows == 8 || w.group_rows == 16);
}

// Whether a matrix-vector kernel with these `half_rows` reads float16 weights as they are stored.
inline bool ReadsHalvesOfPixel(const PackedWeights& w, uint32_t half_rows) {
  if (w.halves == nullptr || half_rows == 0 || w.group_cols != 1) return false;
  if (w.encoding == Encoding::kSlidingRow) return HasSlidingPixelRows(w) && w.group_rows % half_rows == 0;
  return w.encoding == Encoding::kRowBand && w.group_rows % half_rows == 0 && w.out_channels % half_rows == 0;
}

inline bool NeedsOffsetsOfPixel(const PackedWeights& w) { return w.in_blocks() || w.group_cols > 1; }

// The kernels for `encoding` with groups of `group_rows` rows on `arch`. `arch` must be supported and not kReference.
KernelSet GetKernels(Arch arch, Encoding encoding, uint32_t group_rows);

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_PLANAR_PLANAR_H_
