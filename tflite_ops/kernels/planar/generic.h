// SPDX-License-Identifier: Apache-2.0
// The body of the planar kernels, templated over one instruction set `S`. Each ISA file defines S and includes this
// file inside its own namespace, so code built with different compiler flags never meets in the linker.
//
// S provides: `Vector`, `kLanes`, `kBlockPositions` (see moves.h), `Zero()`, `Set(value)`, `Load(p)`,
// `LoadPartial(p, n)`, `Store(p, v)`, `StorePartial(p, v, n)`, `Clamp(v, low, high)`, `Transpose(v[kLanes])`,
// `Even(a, b)`: the even floats of two vectors, `Add(a, b)`, `MultiplyAdd<kRows, kVectors>(acc, x, weights)`: acc[r][v]
// += weights[r] * x[v], `kLoadsInPairs`: whether one instruction loads two neighbouring vectors from an address in a
// register, `kFewRowsElsewhere`: whether groups of one, two and four rows have kernels of their own, the names and tile
// sizes that ChooseKernels asks for.
//
// No include guards on purpose: this file and its parts are included once, by one ISA file a translation unit.

#include "tflite_ops/kernels/planar/accumulators.h"
#include "tflite_ops/kernels/planar/moves.h"

inline float BiasOf(const TileArgs& a, uint32_t row) { return a.bias == nullptr ? 0.0f : a.bias[row]; }

// kRows rows of a band, `weights` at the first of them in the band's first cell.
template <typename S, int kRows, int kVectors>
inline __attribute__((always_inline)) void BandChunk(const TileArgs& a, uint32_t row, const uint32_t* offsets,
                                                     size_t count, const float* weights, size_t stride, float* out) {
  Accumulators<S, kRows, kVectors> acc;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) acc.SetRow(r, BiasOf(a, row + r));
  acc.AddCells(reinterpret_cast<const char*>(a.x), offsets, count, weights, stride);
  const auto low = S::Set(a.low), high = S::Set(a.high);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) acc.StoreRow(r, row + r, a, low, high, out + r * a.row_stride);
}

// The last rows of a band whose size is no multiple of the chunk: `rows` < kRows of them.
template <typename S, int kRows, int kVectors>
__attribute__((noinline)) void BandRest(const TileArgs& a, uint32_t rows, uint32_t row, const uint32_t* offsets,
                                        size_t count, const float* weights, size_t stride, float* out) {
  if constexpr (kRows > 0) {
    if (rows == kRows) return BandChunk<S, kRows, kVectors>(a, row, offsets, count, weights, stride, out);
    BandRest<S, kRows - 1, kVectors>(a, rows, row, offsets, count, weights, stride, out);
  }
}

// Row-band: every band is computed in chunks of kRows rows that stay in registers.
template <typename S, int kRows, int kVectors>
void RowBandTile(const TileArgs& a) {
  const PackedWeights& w = *a.weights;
  const uint32_t first_line = a.row_begin / w.group_rows;
  // All bands but the last are full, so the values of a line start at its first cell times group_rows.
  const float* weights = w.values + w.FirstCell(first_line) * w.group_rows;
  RowWriter<S> writer(a);
  for (uint32_t line = first_line; w.FirstRow(line) < a.row_end; ++line) {
    const uint32_t first = w.FirstRow(line), rows = w.RowsOfLine(line);
    const uint32_t* offsets = a.cell_offsets + w.FirstCell(line);
    const size_t count = w.CellsOfLine(line);
    uint32_t r = 0;
    for (; r + kRows <= rows; r += kRows) {
      BandChunk<S, kRows, kVectors>(a, first + r, offsets, count, weights + r, rows, writer.Next(kRows));
    }
    if (r < rows) {
      BandRest<S, kRows - 1, kVectors>(a, rows - r, first + r, offsets, count, weights + r, rows,
                                       writer.Next(rows - r));
    }
    weights += count * rows;
    if (line + 1 == w.line_count) break;
  }
  writer.Flush();
}

// The cells of row `row` in part `part` of the columns.
struct RowPart {
  size_t first, end;

  RowPart(const TileArgs& a, uint32_t part, uint32_t row) {
    const uint32_t* ends = a.part_ends + size_t{part} * a.weights->line_count + row;
    first = part == 0 ? a.weights->FirstCell(row) : *(ends - a.weights->line_count);
    end = *ends;
  }
  void Prefetch(const TileArgs& a) const {
    constexpr size_t kLine = 64 / sizeof(float);
    for (size_t cell = first; cell < end; cell += kLine) {
      __builtin_prefetch(a.cell_offsets + cell);
      __builtin_prefetch(a.weights->values + cell);
    }
  }
};

// Single rows share no input that they load: of many columns, those of one part are read by all rows while they lie in
// the first-level cache, and sums wait in `rows`. Parts of neighbouring rows lie apart: no hardware foresees them.
template <typename S, int kVectors>
void SingleRowsTile(const TileArgs& a) {
  constexpr uint32_t kAhead = 6;            // rows
  constexpr uint32_t kManyCells = 1 << 17;  // more than the second-level cache keeps from one tile to the next
  const bool many = a.weights->value_count > kManyCells;
  const auto low = S::Set(a.low), high = S::Set(a.high);
  RowWriter<S> writer(a);
  for (uint32_t begin = a.row_begin, count = 0; begin < a.row_end; begin += count) {
    count = a.row_end - begin < a.room ? a.row_end - begin : a.room;
    float* const rows = writer.Next(count);
    for (uint32_t part = 0; part < a.part_count; ++part) {
      float* out = rows;
      for (uint32_t row = begin; row < begin + count; ++row, out += a.row_stride) {
        if (many && row + kAhead < begin + count) RowPart(a, part, row + kAhead).Prefetch(a);
        const RowPart cells(a, part, row);
        Accumulators<S, 1, kVectors> acc;
        if (part == 0) {
          acc.SetRow(0, BiasOf(a, row));
        } else {
          for (int v = 0; v < kVectors; ++v) acc.value[0][v] = S::Load(out + v * S::kLanes);
        }
        acc.AddCells(reinterpret_cast<const char*>(a.x), a.cell_offsets + cells.first, cells.end - cells.first,
                     a.weights->values + cells.first, 1);
        if (part + 1 == a.part_count) {
          acc.StoreRow(0, row, a, low, high, out);
        } else {
          for (int v = 0; v < kVectors; ++v) S::Store(out + v * S::kLanes, acc.value[0][v]);
        }
      }
    }
  }
  writer.Flush();
}

// Walks the start rows of a sliding-row weight for output rows [row_begin, row_end). Row q lives in accumulator q %
// kRows; after start row r, row r is complete and row r + kRows takes its accumulator.
template <typename S, int kRows, int kVectors>
struct SlidingWalk {
  using Acc = Accumulators<S, kRows, kVectors>;
  const TileArgs& a;
  const PackedWeights& w;
  const char* x;
  Acc acc;

  explicit SlidingWalk(const TileArgs& args) : a(args), w(*args.weights), x(reinterpret_cast<const char*>(args.x)) {}

  inline __attribute__((always_inline)) void Add(uint32_t line) {
    const size_t first = w.FirstCell(line);
    acc.AddCells(x, a.cell_offsets + first, w.CellsOfLine(line), w.values + first * kRows, kRows);
  }

  // The writer is no member: its Flush is a call, and would keep the accumulators in memory.
  inline __attribute__((always_inline)) void Finish(RowWriter<S>* writer, int slot, uint32_t row) {
    if (row >= a.row_begin && row < a.row_end) {
      acc.StoreRow(slot, row, a, S::Set(a.low), S::Set(a.high), writer->Next(1));
    }
    const uint32_t next = row + kRows;
    acc.SetRow(slot, next < w.out_channels ? BiasOf(a, next) : 0.0f);
  }

  // Where kRows lines from `row` on may go by AddAndFinish: all of them exist, all their rows are wanted, and so do the
  // rows that take their accumulators.
  bool InTheMiddle(uint32_t row) const {
    return row >= a.row_begin && uint64_t{row} + kRows <= a.row_end && uint64_t{row} + kRows <= w.line_count &&
           uint64_t{row} + 2 * kRows <= w.out_channels && kRows <= a.room;
  }

  // Add and Finish of kRows lines, which leaves what lines share to be done once and tests nothing in between.
  inline __attribute__((always_inline)) void AddAndFinish(RowWriter<S>* writer, uint32_t row) {
    const auto low = S::Set(a.low), high = S::Set(a.high);
    float* out = writer->Next(kRows);
    const uint32_t* line_ends = w.line_ends + row;
    const size_t first = w.FirstCell(row), row_stride = a.row_stride;
    const uint32_t* offsets = a.cell_offsets + first;
    const float* weights = w.values + first * kRows;
#pragma GCC unroll 16
    for (int s = 0; s < kRows; ++s, out += row_stride) {
      const uint32_t* end = a.cell_offsets + size_t{line_ends[s]} * w.group_cols;
      const size_t count = static_cast<size_t>(end - offsets);
      acc.AddCells(x, offsets, count, weights, kRows);
      offsets = end;
      weights += count * kRows;
      acc.StoreRow(s, row + s, a, low, high, out);
      acc.SetRow(s, BiasOf(a, row + kRows + s));
    }
  }
};

template <typename S, int kRows, int kVectors>
void SlidingTile(const TileArgs& a) {
  SlidingWalk<S, kRows, kVectors> walk(a);
  RowWriter<S> writer(a);
  const PackedWeights& w = *a.weights;
  const uint32_t first_line = a.row_begin >= kRows - 1 ? a.row_begin - (kRows - 1) : 0;
  const uint32_t base = first_line - first_line % kRows;
#pragma GCC unroll 16
  for (int s = 0; s < kRows; ++s) {
    const uint32_t row = base + s < first_line ? base + s + kRows : base + s;
    walk.acc.SetRow(s, row < w.out_channels ? BiasOf(a, row) : 0.0f);
  }
  for (uint32_t row = base; row < a.row_end; row += kRows) {
    if (walk.InTheMiddle(row)) {
      walk.AddAndFinish(&writer, row);
      continue;
    }
#pragma GCC unroll 16
    for (int s = 0; s < kRows; ++s) {
      if (row + s < first_line) continue;
      if (row + s < w.line_count) walk.Add(row + s);
      walk.Finish(&writer, s, row + s);
    }
  }
  writer.Flush();
}

// Sliding-row for any number of rows: accumulators live in memory. For the group sizes that have no kernel of their
// own.
template <typename S>
void SlidingTileAnyRows(const TileArgs& a) {
  const PackedWeights& w = *a.weights;
  const uint32_t rows = w.group_rows;
  typename S::Vector acc[kMaxSlidingRows];
  const uint32_t first_line = a.row_begin >= rows - 1 ? a.row_begin - (rows - 1) : 0;
  for (uint32_t row = first_line; row < first_line + rows; ++row) {
    acc[row % rows] = S::Set(row < w.out_channels ? BiasOf(a, row) : 0.0f);
  }
  const auto low = S::Set(a.low), high = S::Set(a.high);
  RowWriter<S> writer(a);
  for (uint32_t row = first_line; row < a.row_end; ++row) {
    if (row < w.line_count) {
      const size_t first = w.FirstCell(row);
      const float* weights = w.values + first * rows;
      for (size_t i = 0; i < w.CellsOfLine(row); ++i, weights += rows) {
        const auto tile =
            S::Load(reinterpret_cast<const float*>(reinterpret_cast<const char*>(a.x) + a.cell_offsets[first + i]));
        for (uint32_t r = 0; r < rows; ++r) acc[r] = S::MultiplyAddOne(acc[r], tile, weights[r]);
      }
    }
    if (row >= a.row_begin) {
      auto sum = acc[row % rows];
      if (a.addend != nullptr) sum = S::Add(sum, S::Load(a.addend + row * a.addend_stride));
      S::Store(writer.Next(1), S::Clamp(sum, low, high));
    }
    acc[row % rows] = S::Set(row + rows < w.out_channels ? BiasOf(a, row + rows) : 0.0f);
  }
  writer.Flush();
}

#include "tflite_ops/kernels/planar/pixel.h"

// The kernel and its narrower versions, halving down to one vector.
template <typename S, template <typename, int, int> class Body, int kRows, int kVectors>
Kernel AllWidths(const char* name) {
  Kernel kernel = {};
  kernel.name = name;
  kernel.tile = static_cast<uint32_t>(kVectors * S::kLanes);
  kernel.lanes = static_cast<uint32_t>(S::kLanes);
  kernel.runs[0] = Body<S, kRows, kVectors>::Run;
  if constexpr (kVectors >= 2) kernel.runs[1] = Body<S, kRows, kVectors / 2>::Run;
  if constexpr (kVectors >= 4) kernel.runs[2] = Body<S, kRows, kVectors / 4>::Run;
  if constexpr (kVectors >= 8) kernel.runs[3] = Body<S, kRows, kVectors / 8>::Run;
  for (uint32_t i = 0; kernel.tile >> i >= kernel.lanes; ++i) kernel.widths[i] = kernel.tile >> i;
  return kernel;
}

template <typename S, int kRows, int kVectors>
struct RowBand {
  static void Run(const TileArgs& a) {
    if constexpr (kRows == 1) {
      if (a.part_count > 1) return SingleRowsTile<S, kVectors>(a);
    }
    RowBandTile<S, kRows, kVectors>(a);
  }
};

template <typename S, int kRows, int kVectors>
struct Sliding {
  static void Run(const TileArgs& a) { SlidingTile<S, kRows, kVectors>(a); }
};

// Bands are computed in chunks of 1, 2, 4 or S::kMostBandRows rows.
template <typename S>
Kernel RowBandKernel(uint32_t group_rows) {
  const char* name = S::kRowBandName;
  if constexpr (!S::kFewRowsElsewhere) {
    if (group_rows == 1) return AllWidths<S, RowBand, 1, S::VectorsFor(1)>(name);
  }
  if (group_rows < 4) return AllWidths<S, RowBand, 2, S::VectorsFor(2)>(name);
  if (group_rows < 8) return AllWidths<S, RowBand, 4, S::VectorsFor(4)>(name);
  return AllWidths<S, RowBand, S::kMostBandRows, S::VectorsFor(S::kMostBandRows)>(name);
}

template <typename S>
Kernel SlidingKernel(uint32_t group_rows) {
  const char* name = S::kSlidingName;
  if constexpr (!S::kFewRowsElsewhere) {
    if (group_rows == 1) return AllWidths<S, Sliding, 1, S::VectorsFor(1)>(name);
    if (group_rows == 2) return AllWidths<S, Sliding, 2, S::VectorsFor(2)>(name);
    if (group_rows == 4) return AllWidths<S, Sliding, 4, S::VectorsFor(4)>(name);
  }
  if (group_rows == 8) return AllWidths<S, Sliding, 8, S::VectorsFor(8)>(name);
  if (group_rows == 16) return AllWidths<S, Sliding, 16, S::VectorsFor(16)>(name);
  return OneWidth(S::kSlidingAnyName, S::kLanes, SlidingTileAnyRows<S>);
}

template <typename S>
KernelSet ChooseKernels(Encoding encoding, uint32_t group_rows) {
  const bool band = encoding == Encoding::kRowBand;
  return {band ? RowBandKernel<S>(group_rows) : SlidingKernel<S>(group_rows),
          band ? OneWidth(S::kRowBandSingleName, 1, RowBandPixel) : OneWidth(S::kSlidingSingleName, 1, SlidingPixel),
          ToPlanar<S>,
          FromPlanar<S>,
          CopyStrided<S>,
          GatherTiles<S>,
          ScatterTiles<S>,
          kHalfRows};
}
