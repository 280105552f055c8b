// SPDX-License-Identifier: Apache-2.0
// Planar sparse int8 kernels: pixels lie across the vector, four kept columns of a line are one operand of a
// dot-product instruction, and a line's weights are read from the packed bytes in place.
//
// Contract. A tile is `Int8Kernel::tile` neighbouring positions. Operand `o` of the packed weights (four cells; line
// `l` has operands `operand_begins[l]` to `operand_begins[l + 1]`) finds its inputs by `Int8Layout`:
//
//     kQuads   bytes 4 * p .. 4 * p + 3 at `x + offsets[o]` are the four columns of position p;
//     kPlanes  byte p at `x + offsets[4 * o + i]` is column i of position p.
//
// They are read for `0 <= p < tile` whatever the number of useful positions is (the caller provides the room). Bytes
// hold `input ^ Int8KernelSet::flip`. With `n` rows in the line, operand `o` multiplies row `r` with the weights
// `w[4 * r .. 4 * r + 3]` behind those of the operands before it, and
//
//     sum[p, r] = starts[r] + sum over operands and columns of w * byte        (32 bits, wraps, the last value fits)
//
// where bytes count as unsigned for flip 0x80 and as signed for flip 0; `starts` makes up for flip and zero point.
// Results, for int8 output (`factors` is not null) and for float output:
//
//     y[p, r] = int8(rint(min(max(float(sum) * factors[r], low), high)) + zero_point)
//               or, where `rules` is not null, Requantize(rules[r], range, sum), whose rules have no bias
//     y[p, r] = min(max(float(sum - zero_points[p] * row_sums[r]) * position_scales[p] * scales[r] + bias[r],
//                       low), high)
//
// They go to NHWC memory: position `p` of a segment `(begin, count, out)` is stored at row
// `out + (p - begin) * out_stride`, counted in values; positions outside every segment are computed and dropped.
// `scratch` holds kInt8ScratchBytes and aliases nothing.
#ifndef TFPRUNE_KERNELS_PLANAR_INT8_PLANAR_INT8_H_
#define TFPRUNE_KERNELS_PLANAR_INT8_PLANAR_INT8_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/arch.h"
#include "tflite_ops/formats/packed_weights.h"
#include "tflite_ops/kernels/planar_int16/planar_int16.h"

namespace tfprune {

constexpr size_t kInt8MaxTile = 64;      // positions
constexpr size_t kInt8MaxOverrun = 64;   // bytes that a fill may write behind a row of positions
constexpr size_t kInt8ScratchRows = 64;  // rows kept planar before they are transposed to NHWC
constexpr size_t kMoreStarts = 2 * kMaxSlidingRows;
constexpr size_t kInt8ScratchBytes = (kInt8ScratchRows + 1) * kInt8MaxTile * sizeof(float);

enum class Int8Layout : uint8_t { kQuads, kPlanes };

// A run of useful positions of one tile that is contiguous in the output.
struct Int8Segment {
  uint32_t begin;  // first position inside the tile
  uint32_t count;
  void* out;  // output of position `begin`, channel 0: int8_t or float
};

struct Int8TileArgs {
  const PackedWeights* weights;
  const uint32_t* offsets;         // bytes, see above
  const uint32_t* operand_begins;  // [line_count + 1]
  const int32_t* starts;           // [out_channels + kMoreStarts], anything behind out_channels
  uint32_t row_begin, row_end;     // output rows to compute; for row-band both are band limits or out_channels
  const uint8_t* x;
  const Int8Segment* segments;
  uint32_t segment_count;
  size_t out_stride;  // values between neighbouring positions in the output
  uint8_t* scratch;
  float low, high;  // clamp: of int8 output before the zero point is added
  // int8 output:
  const float* factors;  // [out_channels], or null for float output
  int32_t zero_point;
  const RowRule* rules;  // [out_channels], or null; instead of the factors' values, low, high and zero_point
  OutputRange range;
  // float output:
  const int32_t* row_sums;       // [out_channels]
  const int32_t* zero_points;    // [tile]
  const float* position_scales;  // [tile]
  const float* scales;           // [out_channels]
  const float* bias;             // [out_channels], or null for zeros
};

using Int8TileFn = void (*)(const Int8TileArgs&);

struct Int8Kernel {
  const char* name;  // "row_band_quads/neon_dotprod"
  size_t tile;       // positions a call computes
  Int8TileFn run;
  size_t tail_tile;  // positions of a narrower version for the last tile, or 0 where there is none
  Int8TileFn tail_run;

  // The version for the next of `rest` positions, and how many of them it computes.
  Int8TileFn Fit(size_t rest, size_t* width) const {
    const bool narrow = tail_tile != 0 && rest * 2 <= tile;
    *width = narrow ? tail_tile : tile;
    return narrow ? tail_run : run;
  }
};

// `out[q * out_stride + p] = bytes 4 * q .. 4 * q + 3 of in + p * in_stride`, each ^ flip, for p < count, q < quads;
// strides in bytes and in quads. Reads nothing else; up to kInt8MaxOverrun bytes behind each row of `count` may be
// overwritten.
using ToQuadsFn = void (*)(const uint8_t* in, size_t in_stride, size_t count, size_t quads, uint32_t* out,
                           size_t out_stride);

// Quads that start between others: `out[i * stride + p] = bytes remainder .. remainder + 3 of the eight in
// quads[starts[i] * stride + p] and quads[(starts[i] + 1) * stride + p]` for p < count, i < n, 0 < remainder < 4;
// strides in quads. Up to kInt8MaxOverrun bytes behind each row of `count` may be read and overwritten.
using QuadsBetweenFn = void (*)(const uint32_t* quads, size_t stride, size_t count, uint32_t remainder,
                                const uint32_t* starts, size_t n, uint32_t* out);

// `out[c * out_stride + p] = in[p * in_stride + c] ^ flip` for p < count, c < channels; strides in bytes. Reads nothing
// else; up to kInt8MaxOverrun bytes behind each row of `count` may be overwritten.
using ToPlanesFn = void (*)(const uint8_t* in, size_t in_stride, size_t count, size_t channels, uint8_t* out,
                            size_t out_stride);

// Weights times one NHWC pixel: `sums[r] += sum over cells of w * byte` for rows [row_begin, row_end), both band limits
// or out_channels.
//
// With `windows` above 0 the columns of groups one column wide are cut into so many windows of kPixelWindow columns,
// and `counts` and `places` say where the cells are; without, the steps of the weights do.
constexpr size_t kPixelWindow = 64;
constexpr size_t kPixelSlack = 2 * kPixelWindow;

struct Int8PixelArgs {
  const PackedWeights* weights;
  size_t weight_bytes;  // at weights->bytes
  size_t windows;
  const uint8_t* counts;  // [line_count][windows]: cells of a line in a window
  const uint8_t* places;  // [cells], columns less those of the windows before; kPixelWindow more bytes may be read
  uint32_t row_begin, row_end;
  const uint8_t* x;      // in_channels inputs, each ^ flip; kPixelWindow more bytes may be read
  uint8_t* inputs;       // scratch of 2 * inputs_stride
  size_t inputs_stride;  // DotCellsOfLine of any line, and kPixelSlack more
  int32_t* sums;         // [out_channels]
};

using Int8PixelFn = void (*)(const Int8PixelArgs&);

struct Int8KernelSet {
  Int8Kernel kernel;
  ToQuadsFn to_quads;
  QuadsBetweenFn quads_between;
  ToPlanesFn to_planes;
  Int8PixelFn pixel;
  const char* pixel_name;  // "row_band_single_int8/neon_dotprod"
  uint8_t flip;            // 0 or 0x80
  // Single weights run faster as groups of four columns where these are at most so many for a hundred of them.
  uint8_t widen_percent;
};

// The kernels for `encoding` with groups of `group_rows` rows and `operands` operands in an average line, on the best
// instruction set that is at most `arch`. `arch` must be supported and not kReference.
Int8KernelSet GetInt8Kernels(Arch arch, Encoding encoding, uint32_t group_rows, Int8Layout layout, uint32_t operands);

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_PLANAR_INT8_PLANAR_INT8_H_
