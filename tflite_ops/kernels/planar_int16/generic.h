// SPDX-License-Identifier: Apache-2.0
// The body of the int16 kernels, templated over one instruction set `S`. Each ISA file defines S and includes this file
// inside its own namespace, so code built with different compiler flags never meets in the linker.
//
// S provides: `Vector` (kLanes int32, one for each position), `Pairs` (the two columns of kLanes positions), `kTile`,
// `kName`, `kPixelName`; `Zero()`; `LoadPairs<kVectors>(p0, p1, Pairs[])` from two planes, in an order that
// `Reorder<kVectors>(Vector[])` puts right; `Multiply<kRows, kVectors>(Vector sum[][], Pairs[], weights)` with the
// weights of kRows rows; `AddTo(int32_t*, Vector)`; and for single positions `Four`, four int32, with
// `MultiplyFour(Four sum, const int16_t* weights, Inputs pairs)`, `Inputs` from four pairs (`Gather`) or from one
// (`Spread`).
//
// No include guard on purpose: it is included once, by one ISA file a translation unit.

#include "tflite_ops/kernels/planar_int16/moves.h"
#include "tflite_ops/kernels/planar_int16/pixel.h"
#include "tflite_ops/kernels/planar_int16/results.h"

// kRows rows from row `row` on, kVectors vectors of positions from `position` on.
template <typename S, int kRows, int kVectors>
inline __attribute__((always_inline)) void AddChunk(const Int16SumArgs& a, uint32_t row, size_t position) {
  typename S::Vector sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[r][v] = S::Zero();
  }
  const uint8_t* const x = a.x + position * sizeof(int16_t);
  const uint32_t* offsets = a.offsets;
  const int16_t* weights = a.weights + size_t{row} * kPairCells;
  for (size_t pairs = a.pairs; pairs > 0; --pairs, offsets += kPairCells, weights += a.stride) {
    typename S::Pairs inputs[kVectors];
    S::template LoadPairs<kVectors>(x + offsets[0], x + offsets[1], inputs);
    S::template Multiply<kRows, kVectors>(sum, inputs, weights);
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    S::template Reorder<kVectors>(sum[r]);
    int32_t* to = a.sums + (size_t{row} + r) * a.pitch + position;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) S::AddTo(to + v * S::kLanes, sum[r][v]);
  }
}

// All positions of kRows rows: kVectors vectors at a time, then two.
template <typename S, int kRows, int kVectors>
void AddRows(const Int16SumArgs& a, uint32_t row) {
  size_t position = 0;
  if constexpr (kVectors > 2) {
    for (; position + kVectors * S::kLanes <= a.width; position += kVectors * S::kLanes)
      AddChunk<S, kRows, kVectors>(a, row, position);
  }
  for (; position < a.width; position += 2 * S::kLanes) AddChunk<S, kRows, 2>(a, row, position);
}

template <typename S>
void AddSums(const Int16SumArgs& a) {
  uint32_t row = 0;
  for (; row + 4 <= a.rows; row += 4) AddRows<S, 4, S::kVectorsOfFour>(a, row);
  if (a.rows - row >= 2) AddRows<S, 2, S::kVectorsOfTwo>(a, row), row += 2;
  if (a.rows > row) AddRows<S, 1, S::kVectorsOfOne>(a, row);
}

template <typename S>
Int16KernelSet Int16Set() {
  return {S::kName,  S::kPixelName, S::kTile,  2 * S::kLanes,      AddSums<S>,       AddPixel<S>,
          FinishRow, StoreRows,     FillInt16, FillBytes<uint8_t>, FillBytes<int8_t>};
}
