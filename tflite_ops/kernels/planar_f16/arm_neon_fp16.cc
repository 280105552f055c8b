// SPDX-License-Identifier: Apache-2.0
#include <arm_neon.h>
#include <string.h>

#include <utility>

#include "tflite_ops/kernels/planar_f16/planar_f16.h"

// Halves multiply by a lane of the lower sixteen registers only, which Clang cannot be told for half a register.
#if defined(__clang__)
#define TFPRUNE_LANE_REGISTER "+w"
#else
#define TFPRUNE_LANE_REGISTER "+x"
#endif

namespace tfprune {
namespace neon_fp16 {
namespace {

#include "tflite_ops/kernels/planar_f16/transpose.h"

Half BiasOf(const TileArgs& a, uint32_t row) {
  return row < a.weights->out_channels && a.bias != nullptr ? static_cast<Half>(a.bias[row]) : Half{0};
}

// Sums of kRows rows by kVectors vectors of positions, in registers.
template <int kRows, int kVectors>
struct Sums {
  Vector value[kRows][kVectors];

  inline __attribute__((always_inline)) void SetRow(int row, Half start) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) value[row][v] = vdupq_n_f16(start);
  }

  template <int kLane>
  inline __attribute__((always_inline)) void AddRow(int row, const Vector* x, float16x4_t weights) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) value[row][v] = vfmaq_lane_f16(value[row][v], x[v], weights, kLane);
  }

  // Weights come four at a time into one register and multiply by lane.
  inline __attribute__((always_inline)) void AddCell(const char* x, uint32_t offset, const Half* weights) {
    const Half* cell = reinterpret_cast<const Half*>(x + offset);
    asm("" : "+r"(cell));  // one address for all vectors, so that they are loaded in pairs
    Vector tile[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) tile[v] = vld1q_f16(cell + v * kLanes);
    constexpr int kFours = kRows / 4;
#pragma GCC unroll 4
    for (int f = 0; f < kFours; ++f) {
      float16x4_t four = vld1_f16(weights + 4 * f);
      asm("" : TFPRUNE_LANE_REGISTER(four));  // else the compiler loads each lane for itself
      AddRow<0>(4 * f, tile, four);
      AddRow<1>(4 * f + 1, tile, four);
      AddRow<2>(4 * f + 2, tile, four);
      AddRow<3>(4 * f + 3, tile, four);
    }
#pragma GCC unroll 4
    for (int r = 4 * kFours; r < kRows; ++r) AddRow<0>(r, tile, vld1_dup_f16(weights + r));
  }

  // `count` cells of one line, whose weights are `stride` apart.
  inline __attribute__((always_inline)) void AddCells(const char* x, const uint32_t* offsets, size_t count,
                                                      const Half* weights, size_t stride) {
    const uint32_t* const end = offsets + (count - count % 2);
    for (; offsets != end; offsets += 2, weights += 2 * stride) {
      AddCell(x, offsets[0], weights);
      AddCell(x, offsets[1], weights + stride);
    }
    if (count % 2 != 0) AddCell(x, *offsets, weights);
  }

  inline __attribute__((always_inline)) void StoreRow(int row, const TileArgs& a, Half* out) const {
    const Vector low = vdupq_n_f16(static_cast<Half>(a.low)), high = vdupq_n_f16(static_cast<Half>(a.high));
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      vst1q_f16(out + v * kLanes, vminq_f16(vmaxq_f16(value[row][v], low), high));
    }
  }
};

// Hands out the rows a kernel writes, and moves them to their segments when no more fit.
struct RowWriter {
  const TileArgs& a;
  uint32_t held = 0, first;  // rows waiting, and the first of them

  explicit RowWriter(const TileArgs& args) : a(args), first(args.row_begin) {}

  Half* rows() const { return reinterpret_cast<Half*>(a.rows); }
  inline __attribute__((always_inline)) Half* Next(uint32_t rows_wanted) {
    if (held + rows_wanted > a.room) Flush();
    Half* place = rows() + held * a.row_stride;
    held += rows_wanted;
    return place;
  }

  __attribute__((noinline)) void Flush() {
    for (uint32_t s = 0; s < a.segment_count; ++s) {
      const Segment& segment = a.segments[s];
      FromPlanar(rows() + segment.begin, a.row_stride, segment.count, held, segment.out + first, a.position_stride);
    }
    first += held;
    held = 0;
  }
};

const Half* HalvesOf(const TileArgs& a) { return reinterpret_cast<const Half*>(a.halves); }

// kRows rows of a band, `weights` at the first of them in the band's first cell.
template <int kRows, int kVectors>
inline __attribute__((always_inline)) void BandChunk(const TileArgs& a, uint32_t row, const uint32_t* offsets,
                                                     size_t count, const Half* weights, size_t stride, Half* out) {
  Sums<kRows, kVectors> sums;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) sums.SetRow(r, BiasOf(a, row + r));
  sums.AddCells(reinterpret_cast<const char*>(a.x), offsets, count, weights, stride);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) sums.StoreRow(r, a, out + r * a.row_stride);
}

// The last rows of a band whose size is no multiple of the chunk: `rows` <= kRows of them.
template <int kRows, int kVectors>
__attribute__((noinline)) void BandRest(const TileArgs& a, uint32_t rows, uint32_t row, const uint32_t* offsets,
                                        size_t count, const Half* weights, size_t stride, Half* out) {
  if constexpr (kRows > 0) {
    if (rows == kRows) return BandChunk<kRows, kVectors>(a, row, offsets, count, weights, stride, out);
    BandRest<kRows - 1, kVectors>(a, rows, row, offsets, count, weights, stride, out);
  }
}

template <int kRows, int kVectors>
struct RowBand {
  static void Run(const TileArgs& a) {
    const PackedWeights& w = *a.weights;
    RowWriter writer(a);
    for (uint32_t line = a.row_begin / w.group_rows; line < w.line_count && w.FirstRow(line) < a.row_end; ++line) {
      const uint32_t first = w.FirstRow(line), rows = w.RowsOfLine(line);
      const uint32_t* offsets = a.cell_offsets + w.FirstCell(line);
      // All bands but the last are full, so the values of a line start at its first cell times group_rows.
      const Half* weights = HalvesOf(a) + w.FirstCell(line) * w.group_rows;
      const size_t count = w.CellsOfLine(line);
      uint32_t r = 0;
      // A band of one chunk: its weights are one run, whose pairs of cells are loaded together.
      if (rows == kRows)
        BandChunk<kRows, kVectors>(a, first, offsets, count, weights, kRows, writer.Next(kRows)), r = kRows;
      for (; r + kRows <= rows; r += kRows) {
        BandRest<kRows, kVectors>(a, kRows, first + r, offsets, count, weights + r, rows, writer.Next(kRows));
      }
      if (r < rows) {
        BandRest<kRows - 1, kVectors>(a, rows - r, first + r, offsets, count, weights + r, rows, writer.Next(rows - r));
      }
    }
    writer.Flush();
  }
};

// Row q lives in accumulator q % kRows; after start row r, row r is complete and row r + kRows takes its accumulator.
template <int kRows, int kVectors>
struct Sliding {
  const TileArgs& a;
  const PackedWeights& w;
  uint32_t first_line;
  Sums<kRows, kVectors> sums;

  // The writer is no member: its Flush is a call, and would keep the sums in memory.
  template <int kSlot>
  inline __attribute__((always_inline)) void Step(uint32_t line, RowWriter* writer) {
    if (line >= first_line && line < w.line_count && line < a.row_end) {
      const size_t first = w.FirstCell(line);
      sums.AddCells(reinterpret_cast<const char*>(a.x), a.cell_offsets + first, w.CellsOfLine(line),
                    HalvesOf(a) + first * kRows, kRows);
    }
    if (line >= a.row_begin && line < a.row_end) sums.StoreRow(kSlot, a, writer->Next(1));
    sums.SetRow(kSlot, BiasOf(a, line + kRows));
  }

  template <int... kSlots>
  inline __attribute__((always_inline)) void Walk(std::integer_sequence<int, kSlots...>) {
    RowWriter writer(a);
    const uint32_t start = first_line / kRows * kRows;
    (sums.SetRow(kSlots, BiasOf(a, start + kSlots)), ...);
    for (uint32_t line = start; line < a.row_end; line += kRows) (Step<kSlots>(line + kSlots, &writer), ...);
    writer.Flush();
  }

  static void Run(const TileArgs& a) {
    Sliding walk = {a, *a.weights, a.row_begin >= kRows - 1 ? a.row_begin - (kRows - 1) : 0, {}};
    walk.Walk(std::make_integer_sequence<int, kRows>());
  }
};

// Sliding-row for any number of rows: sums live in memory. For the group sizes that have no kernel of their own.
void SlidingAnyRows(const TileArgs& a) {
  const PackedWeights& w = *a.weights;
  const uint32_t rows = w.group_rows;
  const char* x = reinterpret_cast<const char*>(a.x);
  const uint32_t first_line = a.row_begin >= rows - 1 ? a.row_begin - (rows - 1) : 0;
  Sums<1, 1> sums[kMaxSlidingRows];
  for (uint32_t row = first_line; row < first_line + rows; ++row) sums[row % rows].SetRow(0, BiasOf(a, row));
  RowWriter writer(a);
  for (uint32_t line = first_line; line < a.row_end; ++line) {
    if (line < w.line_count) {
      const size_t first = w.FirstCell(line), end = first + w.CellsOfLine(line);
      for (size_t cell = first; cell < end; ++cell) {
        for (uint32_t slot = 0; slot < rows; ++slot) {
          sums[slot].AddCell(x, a.cell_offsets[cell], HalvesOf(a) + cell * rows + slot);
        }
      }
    }
    if (line >= a.row_begin) sums[line % rows].StoreRow(0, a, writer.Next(1));
    sums[line % rows].SetRow(0, BiasOf(a, line + rows));
  }
  writer.Flush();
}

// The kernel and its narrower versions, halving down to one vector.
template <template <int, int> class Body, int kRows, int kVectors>
Kernel AllWidths(const char* name) {
  Kernel kernel = {};
  kernel.name = name;
  kernel.tile = static_cast<uint32_t>(kVectors * kLanes);
  kernel.lanes = static_cast<uint32_t>(kLanes);
  kernel.runs[0] = Body<kRows, kVectors>::Run;
  if constexpr (kVectors >= 2) kernel.runs[1] = Body<kRows, kVectors / 2>::Run;
  if constexpr (kVectors >= 4) kernel.runs[2] = Body<kRows, kVectors / 4>::Run;
  if constexpr (kVectors >= 8) kernel.runs[3] = Body<kRows, kVectors / 8>::Run;
  for (uint32_t i = 0; kernel.tile >> i >= kernel.lanes; ++i) kernel.widths[i] = kernel.tile >> i;
  return kernel;
}

// 32 registers: sixteen sums, the inputs and the weights.
Kernel RowBandKernel(uint32_t group_rows) {
  static constexpr char kName[] = "row_band/neon_fp16";
  if (group_rows == 1) return AllWidths<RowBand, 1, 8>(kName);
  if (group_rows < 4) return AllWidths<RowBand, 2, 8>(kName);
  if (group_rows < 8) return AllWidths<RowBand, 4, 4>(kName);
  return AllWidths<RowBand, 8, 2>(kName);
}

Kernel SlidingKernel(uint32_t group_rows) {
  static constexpr char kName[] = "sliding_row/neon_fp16";
  if (group_rows == 1) return AllWidths<Sliding, 1, 8>(kName);
  if (group_rows == 2) return AllWidths<Sliding, 2, 8>(kName);
  if (group_rows == 4) return AllWidths<Sliding, 4, 4>(kName);
  if (group_rows == 8) return AllWidths<Sliding, 8, 2>(kName);
  if (group_rows == 16) return AllWidths<Sliding, 16, 1>(kName);
  return OneWidth("sliding_row_any/neon_fp16", kLanes, SlidingAnyRows);
}

}  // namespace

HalfKernelSet GetHalfKernels(Encoding encoding, uint32_t group_rows) {
  return {encoding == Encoding::kRowBand ? RowBandKernel(group_rows) : SlidingKernel(group_rows), ToPlanar, ToHalves};
}

}  // namespace neon_fp16
}  // namespace tfprune
