// SPDX-License-Identifier: Apache-2.0
// The body of the int8 kernels, templated over one instruction set `S`. Each ISA file defines S and includes this file
// inside its own namespace, so code built with different compiler flags never meets in the linker.
//
// S provides: `Vector` (kLanes int32, one for each position), `Bytes` (kLanes operands of four bytes), `Sum` (what
// gathers products of kLanes positions), `kFlip`, `kPixelName`; `Start(int32)` and `Total(Sum)` from and to Vector;
// `LoadQuads<kVectors>(p, Bytes[])`; `Interleave(p0, p1, p2, p3, Bytes[4])`: operands of 4 * kLanes positions from four
// planes, in an order that `Reorder(Vector[4])` puts right; `Dot<kRows, kVectors>(Sum[][], Bytes[], weights)` and
// `DotBatch<kRows, kVectors, kIndex>`, the same for operand kIndex of a batch (Int8Sums::kBatch) whose weights lie side
// by side from `weights` on; `Clamp(low, high, zero_point)`, registers that stay the same for a tile, and
// `ToBytes<kVectors>(int8_t*, Vector[], factor, Clamp)`;
// `ToFloats(float*, Vector, row_sum, zero_points, position_scales, scale, bias, low, high)`.
//
// No include guard on purpose: it is included once, by one ISA file a translation unit.

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

  // Adds `count` operands of one line; `weights` points at the first and steps by `stride` bytes.
  inline __attribute__((always_inline)) void AddOperands(const uint8_t* x, const uint32_t* offsets, size_t count,
                                                         const int8_t* weights, size_t stride) {
    size_t i = 0;
    // Lines of just kRows rows, the usual case, have a stride that the compiler knows, and the weights of few rows are
    // taken for several operands at once.
    if (stride == kRows * kDotCells) {
      for (; i + kBatch <= count; i += kBatch, weights += kBatch * kRows * kDotCells) {
        AddBatch(x, offsets + i * kOffsets, weights, kRows * kDotCells, std::make_integer_sequence<int, kBatch>());
      }
    } else if (kRows >= 4) {
      for (; i + kBatch <= count; i += kBatch, weights += kBatch * stride) {
        AddBatch(x, offsets + i * kOffsets, weights, stride, std::make_integer_sequence<int, kBatch>());
      }
    }
    for (; i < count; ++i) {
      typename S::Bytes tile[kVectors];
      LoadOperand<S, kVectors, kLayout>(x, offsets, i, tile);
      S::template Dot<kRows, kVectors>(value, tile, weights);
      weights += stride;
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

  // Finishes one row and stores it as row `held` of the scratch.
  inline __attribute__((always_inline)) void StoreRow(int slot, const Int8TileArgs& a, const typename S::Clamp& clamp,
                                                      uint32_t row, uint32_t held) const {
    typename S::Vector total[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) total[v] = S::Total(value[slot][v]);
    if constexpr (kLayout == Int8Layout::kPlanes) S::Reorder(total);
    if (a.factors != nullptr) {
      S::template ToBytes<kVectors>(reinterpret_cast<int8_t*>(a.scratch) + held * kTile, total, a.factors[row], clamp);
      return;
    }
    float* out = reinterpret_cast<float*>(a.scratch) + held * kTile;
    const float bias = a.bias == nullptr ? 0.0f : a.bias[row];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const size_t p = static_cast<size_t>(v) * S::kLanes;
      S::ToFloats(out + p, total[v], a.row_sums[row], a.zero_points + p, a.position_scales + p, a.scales[row], bias,
                  a.low, a.high);
    }
  }
};

template <typename S>
void StoreInt8Rows(const Int8TileArgs& a, size_t tile, size_t channel, size_t rows) {
  if (a.factors != nullptr) {
    StoreByteRows(a, tile, channel, rows);
  } else {
    StoreFloatRows<S::kLanes>(a, tile, channel, rows);
  }
}

inline const uint32_t* OffsetsOfLine(const Int8TileArgs& a, uint32_t line, Int8Layout layout) {
  return a.offsets + size_t{a.operand_begins[line]} * (layout == Int8Layout::kQuads ? 1 : 4);
}

inline size_t OperandsOfLine(const Int8TileArgs& a, uint32_t line) {
  return a.operand_begins[line + 1] - a.operand_begins[line];
}

// kRows rows of a band, `weights` at the first of them in the band's first operand; results become rows `held` and up.
template <typename S, int kRows, int kVectors, Int8Layout kLayout>
inline __attribute__((always_inline)) void Int8BandChunk(const Int8TileArgs& a, uint32_t row, const uint32_t* offsets,
                                                         size_t count, const int8_t* weights, size_t stride,
                                                         const typename S::Clamp& clamp, uint32_t held) {
  Int8Sums<S, kRows, kVectors, kLayout> sums;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) sums.SetRow(r, a.starts[row + r]);
  sums.AddOperands(a.x, offsets, count, weights, stride);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) sums.StoreRow(r, a, clamp, row + r, held + r);
}

// The last rows of a band whose size is no multiple of the chunk: `rows` < kRows of them.
template <typename S, int kRows, int kVectors, Int8Layout kLayout>
__attribute__((noinline)) void Int8BandRest(const Int8TileArgs& a, uint32_t rows, uint32_t row, const uint32_t* offsets,
                                            size_t count, const int8_t* weights, size_t stride,
                                            const typename S::Clamp& clamp, uint32_t held) {
  if constexpr (kRows > 0) {
    if (rows == kRows) {
      return Int8BandChunk<S, kRows, kVectors, kLayout>(a, row, offsets, count, weights, stride, clamp, held);
    }
    Int8BandRest<S, kRows - 1, kVectors, kLayout>(a, rows, row, offsets, count, weights, stride, clamp, held);
  }
}

// Row-band: every band is computed in chunks of kRows rows that stay in registers.
template <typename S, int kRows, int kVectors, Int8Layout kLayout>
void Int8RowBandTile(const Int8TileArgs& a) {
  constexpr size_t kTile = kVectors * S::kLanes;
  const PackedWeights& w = *a.weights;
  const typename S::Clamp clamp(a.low, a.high, a.zero_point);
  uint32_t held = 0, held_row = a.row_begin;
  for (uint32_t line = a.row_begin / w.group_rows; line < w.line_count && w.FirstRow(line) < a.row_end; ++line) {
    const uint32_t rows = w.RowsOfLine(line);
    const uint32_t* offsets = OffsetsOfLine(a, line, kLayout);
    const size_t count = OperandsOfLine(a, line);
    // All bands but the last are full, so the values of a line start at its first operand times group_rows.
    const int8_t* weights = w.bytes + size_t{a.operand_begins[line]} * w.group_rows * kDotCells;
    for (uint32_t r = 0; r < rows; r += kRows) {
      if (held + kRows > kInt8ScratchRows) {
        StoreInt8Rows<S>(a, kTile, held_row, held);
        held_row += held;
        held = 0;
      }
      const uint32_t row = held_row + held;
      const int8_t* first = weights + size_t{r} * kDotCells;
      if (rows - r >= kRows) {
        Int8BandChunk<S, kRows, kVectors, kLayout>(a, row, offsets, count, first, rows * kDotCells, clamp, held);
        held += kRows;
      } else {
        Int8BandRest<S, kRows - 1, kVectors, kLayout>(a, rows - r, row, offsets, count, first, rows * kDotCells, clamp,
                                                      held);
        held += rows - r;
      }
    }
  }
  StoreInt8Rows<S>(a, kTile, held_row, held);
}

inline int32_t StartOf(const Int8TileArgs& a, uint32_t row) {
  return row < a.weights->out_channels ? a.starts[row] : 0;
}

// Walks the start rows of a sliding-row weight for output rows [row_begin, row_end). Row q lives in sums q % kRows;
// after start row r, row r is complete and row r + kRows takes its place.
template <typename S, int kRows, int kVectors, Int8Layout kLayout>
struct Int8SlidingWalk {
  using Sums = Int8Sums<S, kRows, kVectors, kLayout>;
  const Int8TileArgs& a;
  Sums sums;
  const typename S::Clamp clamp;
  uint32_t held = 0, held_row;

  explicit Int8SlidingWalk(const Int8TileArgs& args)
      : a(args), clamp(args.low, args.high, args.zero_point), held_row(args.row_begin) {}

  inline __attribute__((always_inline)) void Add(uint32_t line) {
    sums.AddOperands(a.x, OffsetsOfLine(a, line, kLayout), OperandsOfLine(a, line),
                     a.weights->bytes + size_t{a.operand_begins[line]} * kRows * kDotCells, kRows * kDotCells);
  }

  inline __attribute__((always_inline)) void Finish(int slot, uint32_t row) {
    if (row >= a.row_begin && row < a.row_end) {
      if (held == kInt8ScratchRows) {
        StoreInt8Rows<S>(a, Sums::kTile, held_row, held);
        held_row += held;
        held = 0;
      }
      sums.StoreRow(slot, a, clamp, row, held);
      ++held;
    }
    sums.SetRow(slot, StartOf(a, row + kRows));
  }
};

template <typename S, int kRows, int kVectors, Int8Layout kLayout>
void Int8SlidingTile(const Int8TileArgs& a) {
  Int8SlidingWalk<S, kRows, kVectors, kLayout> walk(a);
  const uint32_t first_line = a.row_begin >= kRows - 1 ? a.row_begin - (kRows - 1) : 0;
  const uint32_t base = first_line - first_line % kRows;
#pragma GCC unroll 16
  for (int s = 0; s < kRows; ++s) walk.sums.SetRow(s, StartOf(a, base + s < first_line ? base + s + kRows : base + s));
  for (uint32_t row = base; row < a.row_end; row += kRows) {
#pragma GCC unroll 16
    for (int s = 0; s < kRows; ++s) {
      if (row + s < first_line) continue;
      if (row + s < a.weights->line_count) walk.Add(row + s);
      walk.Finish(s, row + s);
    }
  }
  StoreInt8Rows<S>(a, Int8SlidingWalk<S, kRows, kVectors, kLayout>::Sums::kTile, walk.held_row, walk.held);
}

// Sliding-row for any number of rows: sums live in memory. For the group sizes that have no kernel of their own.
template <typename S, int kVectors, Int8Layout kLayout>
void Int8SlidingTileAnyRows(const Int8TileArgs& a) {
  using Sums = Int8Sums<S, 1, kVectors, kLayout>;
  const PackedWeights& w = *a.weights;
  const uint32_t rows = w.group_rows;
  Sums sums[kMaxSlidingRows];
  const typename S::Clamp clamp(a.low, a.high, a.zero_point);
  const uint32_t first_line = a.row_begin >= rows - 1 ? a.row_begin - (rows - 1) : 0;
  for (uint32_t row = first_line; row < first_line + rows; ++row) sums[row % rows].SetRow(0, StartOf(a, row));
  uint32_t held = 0, held_row = a.row_begin;
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
      if (held == kInt8ScratchRows) {
        StoreInt8Rows<S>(a, Sums::kTile, held_row, held);
        held_row += held;
        held = 0;
      }
      sums[row % rows].StoreRow(0, a, clamp, row, held);
      ++held;
    }
    sums[row % rows].SetRow(0, StartOf(a, row + rows));
  }
  StoreInt8Rows<S>(a, Sums::kTile, held_row, held);
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

template <typename S, bool kSliding = false>
Int8KernelSet Int8Set(const char* name, int vectors, Int8TileFn run, int tail_vectors = 0,
                      Int8TileFn tail_run = nullptr) {
  const Int8Kernel kernel = {name, static_cast<size_t>(vectors * S::kLanes), run,
                             static_cast<size_t>(tail_vectors * S::kLanes), tail_run};
  return {kernel,
          ToQuadsOf<S>,
          ToPlanesOf<S>,
          kSliding ? Int8SlidingPixel<S> : Int8RowBandPixel<S>,
          kSliding ? kSlidingPixelName<S>.text : S::kPixelName,
          S::kFlip};
}

// A quarter of the vectors for the last tile; planes always take four.
template <int kVectors>
constexpr int kTailVectors = kVectors > 4 ? kVectors / 4 : 1;

template <typename S, int kRows, int kVectors, Int8Layout kLayout>
Int8KernelSet Int8RowBand(const char* name) {
  constexpr int kTail = kLayout == Int8Layout::kQuads ? kTailVectors<kVectors> : kVectors;
  if (kTail == kVectors) return Int8Set<S>(name, kVectors, Int8RowBandTile<S, kRows, kVectors, kLayout>);
  return Int8Set<S>(name, kVectors, Int8RowBandTile<S, kRows, kVectors, kLayout>, kTail,
                    Int8RowBandTile<S, kRows, kTail, kLayout>);
}

template <typename S, int kRows, int kVectors, Int8Layout kLayout>
Int8KernelSet Int8Sliding(const char* name) {
  constexpr int kTail = kLayout == Int8Layout::kQuads ? kTailVectors<kVectors> : kVectors;
  if (kTail == kVectors) return Int8Set<S, true>(name, kVectors, Int8SlidingTile<S, kRows, kVectors, kLayout>);
  return Int8Set<S, true>(name, kVectors, Int8SlidingTile<S, kRows, kVectors, kLayout>, kTail,
                          Int8SlidingTile<S, kRows, kTail, kLayout>);
}

template <typename S, int kVectors, Int8Layout kLayout>
Int8KernelSet Int8SlidingAny(const char* name) {
  return Int8Set<S, true>(name, kVectors, Int8SlidingTileAnyRows<S, kVectors, kLayout>);
}
