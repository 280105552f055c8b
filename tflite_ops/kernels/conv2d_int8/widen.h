// SPDX-License-Identifier: Apache-2.0
// Single int8 weights as groups of four columns that hold zeros: a dot product then finds its four inputs side by side,
// while those of four single weights would have to be zipped together for every four of them.
#ifndef TFPRUNE_KERNELS_CONV2D_INT8_WIDEN_H_
#define TFPRUNE_KERNELS_CONV2D_INT8_WIDEN_H_

#include "tflite_ops/base/memory.h"
#include "tflite_ops/formats/packed_weights.h"

namespace tfprune {

struct WideWeights {
  PackedWeights weights;  // row-band, 1 x 4; points into the arrays and to the scales of the narrow ones
  AlignedArray<uint32_t> line_ends;
  AlignedArray<uint16_t> steps;
  AlignedArray<int8_t> bytes;

  size_t repacked_bytes() const {
    return line_ends.capacity() * sizeof(uint32_t) + steps.capacity() * sizeof(uint16_t) + bytes.capacity();
  }
};

// Up to so many input channels groups start anywhere: at each of their channels quads of 32 positions then fill half of
// a first-level cache of 64 KiB. With more, groups start at multiples of four, which takes a quarter of the memory.
constexpr uint32_t kMostChannelsAnywhere = 256;

// Covers the weights of each row with the fewest groups of four columns that stay inside one kernel position, and moves
// a group to a multiple of four where it covers as much there (or always, see above). True where that gives at most
// `percent` groups for each hundred weights. False leaves the narrow weights to be used: also where they are no single
// weights in row bands, for fewer than four input channels, gaps of more than 16 bits, or no memory.
bool WidenSingles(const PackedWeights& narrow, uint32_t percent, WideWeights* wide);

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_CONV2D_INT8_WIDEN_H_
