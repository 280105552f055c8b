// SPDX-License-Identifier: Apache-2.0
// Planar sparse kernels for 16-bit activations: int16 as they are, or uint8 and int8 without their zero point. Pixels
// lie across the vector, and two columns of a line are one operand (a *pair*) of a multiply-add of 16-bit numbers.
//
// Contract of `sums`. A tile is `width` neighbouring positions, a multiple of `granule` and at most `tile`. Number p of
// the int16 at `x + offsets[2 * k + i]` is column i of pair k at position p; numbers 0 .. width - 1 are read. With the
// weights of pair k and row r at `w = weights + k * stride + 2 * r`,
//
//     sums[r * pitch + p] += sum over pairs of w[0] * column 0 + w[1] * column 1            (32 bits, which must hold
//     it)
//
// `pixel` is the same for a single position: `x + offsets[...]` is one number, and `sums` steps by 1 from row to row.
//
// Contract of `finish`: one row of sums of a tile, 32 or 64 bits wide, as outputs of 16 bits; see RowRule.
// Contract of `store`: `rows` rows of outputs, `tile` apart, into NHWC memory, in 16 bits or the low 8 of them.
#ifndef TFPRUNE_KERNELS_PLANAR_INT16_PLANAR_INT16_H_
#define TFPRUNE_KERNELS_PLANAR_INT16_PLANAR_INT16_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/arch.h"

namespace tfprune {

constexpr size_t kInt16MaxTile = 64;     // positions
constexpr size_t kInt16MaxOverrun = 64;  // positions that a fill may write behind a row
constexpr uint32_t kPairCells = 2;
// So many pairs of int16 activations and int8 weights have a sum below 2^31, whatever they hold.
constexpr uint32_t kSafePairs = 255;

struct Int16SumArgs {
  const uint8_t* x;
  const uint32_t* offsets;  // bytes
  size_t pairs;
  const int16_t* weights;
  size_t stride;  // int16 from the weights of one pair to those of the next
  uint32_t rows;
  uint32_t width;
  size_t pitch;  // int32 from row to row of sums
  int32_t* sums;
};
using Int16SumFn = void (*)(const Int16SumArgs&);

// How sums become outputs; docs/formats.md has the formulas.
enum class Requantization : uint8_t {
  kFloat,      // XNNPACK's
  kFloor,      // any of the next four where it is exact in a double: sum * factor + half, rounded down
  kReduced,    // int16 convolutions: a multiplier of 16 bits
  kOnce,       // a multiplier of 32 bits
  kTwice,      // the same, rounded to 31 fractional bits less and then to a whole number
  kTwiceAway,  // the same, the second time with ties away from zero
  kDouble,     // int16 fully connected with an int64 bias
};

// What the outputs of one row need.
struct RowRule {
  Requantization how;
  int64_t bias;
  double factor;                  // kFloat: a float; kFloor: multiplier and shift in one; kDouble: the scale
  double half, half_of_negative;  // kFloor: what is added to products of at least 0, and below
  int32_t multiplier, shift;
};

// Outputs before the zero point is added lie in [low, high].
struct OutputRange {
  int32_t low, high, zero_point;
};

struct Int16FinishArgs {
  RowRule rule;
  OutputRange range;
  const int32_t* sums;  // [count], or null where they are wide
  const int64_t* wide;  // [count]
  size_t count;         // a multiple of the granule, or 1
  int16_t* out;         // [count]
};
using Int16FinishFn = void (*)(const Int16FinishArgs&);

// Writes position p of the `rows` rows at `from` (`pitch` apart) to `out + p * out_stride` bytes, for p < count.
struct Int16StoreArgs {
  const int16_t* from;
  size_t pitch;
  size_t rows, count;
  uint8_t* out;
  size_t out_stride;  // bytes
  bool bytes;         // 8 bits a value
};
using Int16StoreFn = void (*)(const Int16StoreArgs&);

// Copies `count` pixels of `channels` numbers, `in_stride` bytes apart, into planes of int16 `pitch` numbers apart,
// less `zero_point`. Reads nothing else; up to kInt16MaxOverrun numbers behind each row of `count` may be overwritten.
struct Int16FillArgs {
  const uint8_t* in;
  size_t in_stride;
  size_t count, channels;
  int16_t zero_point;
  int16_t* out;
  size_t pitch;
};
using Int16FillFn = void (*)(const Int16FillArgs&);

struct Int16KernelSet {
  const char* name;        // "planes_int16/avx2"
  const char* pixel_name;  // "pixel_int16/avx2"
  uint32_t tile, granule;
  Int16SumFn sums, pixel;
  Int16FinishFn finish;
  Int16StoreFn store;
  Int16FillFn fill_int16, fill_uint8, fill_int8;
};

// The kernels of the best instruction set that is at most `arch`. `arch` must be supported and not kReference.
Int16KernelSet GetInt16Kernels(Arch arch);

// One output from its exact sum, bias included: what `finish` computes, one by one.
int32_t Requantize(const RowRule& rule, const OutputRange& range, int64_t sum);

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_PLANAR_INT16_PLANAR_INT16_H_
