// SPDX-License-Identifier: Apache-2.0
// The body of the int8 kernels, templated over one instruction set `S`. Each ISA file defines S and includes this file
// inside its own namespace, so code built with different compiler flags never meets in the linker.
//
// S provides: `Vector` (kLanes int32, one for each position), `Bytes` (kLanes operands of four bytes), `Sum` (what
// gathers products of kLanes positions), `kFlip`, `kWidenPercent`, `kPixelName`; `Start(int32)` and `Total(Sum)` from
// and to Vector; `LoadQuads<kVectors>(p, Bytes[])`; `Interleave(p0, p1, p2, p3, Bytes[4])`: operands of 4 * kLanes
// positions from four planes, in an order that `Reorder(Vector[4])` puts right; `Dot<kRows, kVectors>(Sum[][], Bytes[],
// weights)` and `DotBatch<kRows, kVectors, kIndex>`, the same for operand kIndex of a batch (Int8Sums::kBatch) whose
// weights lie side by side from `weights` on; `Clamp(low, high, zero_point)`, registers that stay the same for a tile,
// and `ToBytes<kVectors>(int8_t*, Vector[], factor, Clamp)`; `ToFloats(float*, Vector, row_sum, zero_points,
// position_scales, scale, bias, low, high)`.
//
// No include guard on purpose: it is included once, by one ISA file a translation unit.

#include "tflite_ops/kernels/planar_int16/results.h"
#include "tflite_ops/kernels/planar_int8/results.h"

// The inputs of operand `i` of a line for all positions of a tile.
template <typename S, int kVectors, Int8Layout kLayout>
inline __attribute__((always_inline)) void LoadOperand(const uint8_t* x, const uint32_t* offsets, size_t i,
                                                       typename S::Bytes* tile) {
  if constexpr (kLayout == Int8Layout::kQuads) {
    const uint8_t* quads = x + offsets[i];
    S::template LoadQuads<kVectors>(quads, tile);
  } else {
    const uint32_t* four = offsets + 4 * i;
    S::Interleave(x + four[0], x + four[1], x + four[2], x + four[3], tile);
  }
}

template <typename S, int kRows, int kVectors, Int8Layout kLayout>
struct Int8Sums {
  using Sum = typename S::Sum;
  static constexpr int kTile = kVectors * S::kLanes;
  static_assert(kLayout == Int8Layout::kQuads || kVectors == 4, "planes are interleaved four vectors at a time");
  // Operands whose weights fill a 128-bit register, and at least two to share the loop's instructions.
  static constexpr int kBatch = kRows == 1 ? 4 : 2;
  static constexpr int kOffsets = kLayout == Int8Layout::kQuads ? 1 : 4;  // of an operand
  Sum value[kRows][kVectors];

  inline __attribute__((always_inline)) void SetRow(int row, int32_t start) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) value[row][v] = S::Start(start);
  }

  inline __attribute__((always_inline)) void SetRows(const int32_t* starts) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) SetRow(r, starts[r]);
  }

  // Adds `count` operands of one line; `weights` points at the first and steps by `stride` bytes.
  // kWhole: these rows are all of the line.
  template <bool kWhole>
  inline __attribute__((always_inline)) void AddOperands(const uint8_t* x, const uint32_t* offsets, size_t count,
                                                         const int8_t* weights, size_t stride) {
    // The weights of few rows are taken for several operands at once where these rows are all of the line.
    if constexpr (kWhole) stride = kRows * kDotCells;
    if constexpr (kWhole || kRows >= 4) {
      for (; count >= kBatch; count -= kBatch, offsets += kBatch * kOffsets, weights += kBatch * stride) {
        AddBatch(x, offsets, weights, stride, std::make_integer_sequence<int, kBatch>());
      }
    }
    for (; count > 0; --count, offsets += kOffsets, weights += stride) {
      typename S::Bytes tile[kVectors];
      LoadOperand<S, kVectors, kLayout>(x, offsets, 0, tile);
      S::template Dot<kRows, kVectors>(value, tile, weights);
    }
  }

  template <int... kIndex>
  inline __attribute__((always_inline)) void AddBatch(const uint8_t* x, const uint32_t* offsets, const int8_t* weights,
                                                      size_t stride, std::integer_sequence<int, kIndex...>) {
    (AddOne<kIndex>(x, offsets, weights, stride), ...);
  }

  template <int kIndex>
  inline __attribute__((always_inline)) void AddOne(const uint8_t* x, const uint32_t* offsets, const int8_t* weights,
                                                    size_t stride) {
    typename S::Bytes tile[kVectors];
    LoadOperand<S, kVectors, kLayout>(x, offsets, kIndex, tile);
    if constexpr (kRows >= 4) {
      S::template Dot<kRows, kVectors>(value, tile, weights + kIndex * stride);
    } else {
      S::template DotBatch<kRows, kVectors, kIndex>(value, tile, weights);
    }
  }

  // The sums of one row, in the order of positions.
  inline __attribute__((always_inline)) void Totals(int row, typename S::Vector* total) const {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) total[v] = S::Total(value[row][v]);
    if constexpr (kLayout == Int8Layout::kPlanes) S::Reorder(total);
  }
};

template <Int8Layout kLayout>
constexpr int kOffsetsOfOperand = kLayout == Int8Layout::kQuads ? 1 : 4;

// kRows rows of a band, `weights` at the first of them in the band's first operand, `stride` bytes from one operand to
// the next. kWhole: the band has just these rows.
template <typename S, int kRows, int kVectors, Int8Layout kLayout, bool kWhole>
inline __attribute__((always_inline)) void Int8BandChunk(const uint8_t* x, const int32_t* starts,
                                                         const uint32_t* offsets, size_t count, const int8_t* weights,
                                                         size_t stride, Int8Results<S, kVectors>* results) {
  Int8Sums<S, kRows, kVectors, kLayout> sums;
  sums.SetRows(starts);
  sums.template AddOperands<kWhole>(x, offsets, count, weights, stride);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    typename S::Vector total[kVectors];
    sums.Totals(r, total);
    results->Add(total);
  }
}

// The last rows of a band whose size is no multiple of the chunk: `rows` < 2 * kRows of them, in halves of the chunk.
// There is room for them behind `held` rows.
template <typename S, int kRows, int kVectors, Int8Layout kLayout>
__attribute__((noinline)) void Int8BandRest(const Int8TileArgs& a, uint32_t row, uint32_t rows, uint32_t held,
                                            const uint32_t* offsets, size_t count, const int8_t* weights,
                                            size_t stride) {
  if constexpr (kRows > 0) {
    if (rows >= kRows) {
      Int8Results<S, kVectors> results(a, row, held);
      Int8BandChunk<S, kRows, kVectors, kLayout, false>(a.x, a.starts + row, offsets, count, weights, stride, &results);
      row += kRows, rows -= kRows, held += kRows;
      weights += kRows * kDotCells;
    }
    if (rows > 0) {
      Int8BandRest<S, kRows / 2, kVectors, kLayout>(a, row, rows, held, offsets, count, weights, stride);
    }
  }
}

// Row-band: every band is computed in chunks of kRows rows that stay in registers. kWhole: a band is one chunk.
template <typename S, int kRows, int kVectors, Int8Layout kLayout, bool kWhole>
void Int8RowBandTile(const Int8TileArgs& a) {
  const uint8_t* const x = a.x;
  const int32_t* const starts = a.starts;
  const uint32_t group_rows = kWhole ? kRows : a.weights->group_rows, row_end = a.row_end;
  const uint32_t* ends = a.operand_begins + a.row_begin / group_rows;
  uint32_t begin = *ends++;
  const uint32_t* offsets = a.offsets + size_t{begin} * kOffsetsOfOperand<kLayout>;
  // All bands but the last are full, so the values of a line start at its first operand times group_rows.
  const int8_t* weights = a.weights->bytes + size_t{begin} * group_rows * kDotCells;
  Int8Results<S, kVectors> results(a, a.row_begin, 0);
  while (results.row() < row_end) {
    const uint32_t left = row_end - results.row(), rows = left < group_rows ? left : group_rows;
    const size_t count = *ends - begin, stride = size_t{rows} * kDotCells;
    begin = *ends++;
    const int8_t* first = weights;
    uint32_t rest = rows;
    for (; rest >= kRows; rest -= kRows, first += kRows * kDotCells) {
      results.Reserve(kRows);
      Int8BandChunk<S, kRows, kVectors, kLayout, kWhole>(x, starts + results.row(), offsets, count, first, stride,
                                                         &results);
      if (kWhole) break;
    }
    if (kRows > 1 && rest > 0 && !(kWhole && rows == kRows)) {
      results.Reserve(kRows);
      Int8BandRest<S, kRows / 2, kVectors, kLayout>(a, results.row(), rest, results.held(), offsets, count, first,
                                                    stride);
      results.Skip(rest);
    }
    offsets += count * kOffsetsOfOperand<kLayout>;
    weights += count * stride;
  }
  results.Flush();
}

inline const uint32_t* OffsetsOfLine(const Int8TileArgs& a, uint32_t line, Int8Layout layout) {
  return a.offsets + size_t{a.operand_begins[line]} * (layout == Int8Layout::kQuads ? 1 : 4);
}

inline size_t OperandsOfLine(const Int8TileArgs& a, uint32_t line) {
  return a.operand_begins[line + 1] - a.operand_begins[line];
}

// Walks the start rows of a sliding-row weight for output rows [row_begin, row_end). Row q lives in sums q % kRows;
// after start row r, row r is complete and row r + kRows takes its place. The walk begins at a multiple of kRows: what
// it adds to rows before row_begin is dropped.
template <typename S, int kRows, int kVectors, Int8Layout kLayout>
void Int8SlidingTile(const Int8TileArgs& a) {
  const uint8_t* const x = a.x;
  const int32_t* const starts = a.starts;
  const uint32_t lines = a.weights->line_count, row_end = a.row_end;
  const uint32_t first = a.row_begin >= kRows - 1 ? (a.row_begin - (kRows - 1)) / kRows * kRows : 0;
  const uint32_t* ends = a.operand_begins + (first < lines ? first : lines);
  uint32_t begin = *ends++;
  const uint32_t* offsets = a.offsets + size_t{begin} * kOffsetsOfOperand<kLayout>;
  const int8_t* weights = a.weights->bytes + size_t{begin} * kRows * kDotCells;
  Int8Results<S, kVectors> results(a, a.row_begin, 0);
  Int8Sums<S, kRows, kVectors, kLayout> sums;
  sums.SetRows(starts + first);
  for (uint32_t row = first; row < row_end; row += kRows) {
    results.Reserve(kRows);
#pragma GCC unroll 16
    for (int s = 0; s < kRows; ++s) {
      const uint32_t line = row + s;
      if (line < lines) {
        const size_t count = *ends - begin;
        begin = *ends++;
        sums.template AddOperands<true>(x, offsets, count, weights, kRows * kDotCells);
        offsets += count * kOffsetsOfOperand<kLayout>;
        weights += count * kRows * kDotCells;
      }
      // Between row_begin and row_end.
      if (line == results.row() && line < row_end) {
        typename S::Vector total[kVectors];
        sums.Totals(s, total);
        results.Add(total);
      }
      sums.SetRow(s, starts[line + kRows]);
    }
  }
  results.Flush();
}

// Sliding-row for any number of rows: sums live in memory. For the group sizes that have no kernel of their own.
template <typename S, int kVectors, Int8Layout kLayout>
void Int8SlidingTileAnyRows(const Int8TileArgs& a) {
  const PackedWeights& w = *a.weights;
  const uint32_t rows = w.group_rows;
  Int8Sums<S, 1, kVectors, kLayout> sums[kMaxSlidingRows];
  Int8Results<S, kVectors> results(a, a.row_begin, 0);
  const uint32_t first_line = a.row_begin >= rows - 1 ? a.row_begin - (rows - 1) : 0;
  for (uint32_t row = first_line; row < first_line + rows; ++row) sums[row % rows].SetRow(0, a.starts[row]);
  for (uint32_t row = first_line; row < a.row_end; ++row) {
    if (row < w.line_count) {
      const int8_t* weights = w.bytes + size_t{a.operand_begins[row]} * rows * kDotCells;
      for (size_t i = 0; i < OperandsOfLine(a, row); ++i, weights += rows * kDotCells) {
        typename S::Bytes tile[kVectors];
        LoadOperand<S, kVectors, kLayout>(a.x, OffsetsOfLine(a, row, kLayout), i, tile);
        for (uint32_t slot = 0; slot < rows; ++slot) {
          S::template Dot<1, kVectors>(sums[slot].value, tile, weights + slot * kDotCells);
        }
      }
    }
    if (row >= a.row_begin) {
      typename S::Vector total[kVectors];
      sums[row % rows].Totals(0, total);
      results.Reserve(1);
      results.Add(total);
    }
    sums[row % rows].SetRow(0, a.starts[row + rows]);
  }
  results.Flush();
}

#include "tflite_ops/kernels/planar_int8/pixel.h"

template <typename S>
void ToQuadsOf(const uint8_t* in, size_t in_stride, size_t count, size_t quads, uint32_t* out, size_t out_stride) {
  ToQuads<S::kLanes>(in, in_stride, count, quads, out, out_stride, S::kFlip * 0x01010101u);
}

template <typename S>
void ToPlanesOf(const uint8_t* in, size_t in_stride, size_t count, size_t channels, uint8_t* out, size_t out_stride) {
  ToPlanesFlipped(in, in_stride, count, channels, out, out_stride, static_cast<int8_t>(S::kFlip));
}

// "sliding_row_single_int8/" with the instruction set that stands behind the slash of S::kPixelName.
template <typename S>
struct SlidingPixelName {
  char text[48] = "sliding_row_single_int8/";
  constexpr SlidingPixelName() {
    size_t from = 0, to = 0;
    while (S::kPixelName[from] != '/') ++from;
    while (text[to] != 0) ++to;
    while (S::kPixelName[++from] != 0) text[to++] = S::kPixelName[from];
  }
};
template <typename S>
constexpr SlidingPixelName<S> kSlidingPixelName = {};

// All that a kernel of `encoding` needs beside it.
template <typename S>
Int8KernelSet Int8Set(Encoding encoding, const Int8Kernel& kernel) {
  const bool sliding = encoding != Encoding::kRowBand;
  return {kernel,
          ToQuadsOf<S>,
          QuadsBetween<S::kLanes>,
          ToPlanesOf<S>,
          sliding ? Int8SlidingPixel<S> : Int8RowBandPixel<S>,
          sliding ? kSlidingPixelName<S>.text : S::kPixelName,
          S::kFlip,
          S::kWidenPercent};
}

// A quarter of the vectors for the last tile; planes always take four.
template <int kVectors, Int8Layout kLayout>
constexpr int kTailVectors = kLayout == Int8Layout::kPlanes ? kVectors
                             : kVectors > 4                 ? kVectors / 4
                                                            : 1;

template <typename S, int kVectors>
Int8Kernel WithTail(const char* name, Int8TileFn run, int tail_vectors, Int8TileFn tail_run) {
  if (tail_vectors == kVectors) return {name, kVectors * S::kLanes, run, 0, nullptr};
  return {name, kVectors * S::kLanes, run, static_cast<size_t>(tail_vectors) * S::kLanes, tail_run};
}

template <typename S, int kRows, int kVectors, Int8Layout kLayout, bool kWhole>
Int8Kernel Int8RowBandOf(const char* name) {
  constexpr int kTail = kTailVectors<kVectors, kLayout>;
  return WithTail<S, kVectors>(name, Int8RowBandTile<S, kRows, kVectors, kLayout, kWhole>, kTail,
                               Int8RowBandTile<S, kRows, kTail, kLayout, kWhole>);
}

template <typename S, int kRows, int kVectors, Int8Layout kLayout>
Int8Kernel Int8RowBand(uint32_t group_rows, const char* name) {
  if (kRows == 1 || group_rows == kRows) return Int8RowBandOf<S, kRows, kVectors, kLayout, true>(name);
  return Int8RowBandOf<S, kRows, kVectors, kLayout, kRows == 1>(name);
}

template <typename S, int kRows, int kVectors, Int8Layout kLayout>
Int8Kernel Int8Sliding(const char* name) {
  constexpr int kTail = kTailVectors<kVectors, kLayout>;
  return WithTail<S, kVectors>(name, Int8SlidingTile<S, kRows, kVectors, kLayout>, kTail,
                               Int8SlidingTile<S, kRows, kTail, kLayout>);
}

template <typename S, int kVectors, Int8Layout kLayout>
Int8Kernel Int8SlidingAny(const char* name) {
  return {name, kVectors * S::kLanes, Int8SlidingTileAnyRows<S, kVectors, kLayout>, 0, nullptr};
}
