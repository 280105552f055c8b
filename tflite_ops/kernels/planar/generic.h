// SPDX-License-Identifier: Apache-2.0
// The body of the planar kernels, templated over one instruction set `S`. Each ISA file defines S and includes this
// file inside its own namespace, so code built with different compiler flags never meets in the linker.
//
// S provides: `Vector`, `kLanes`, `Zero()`, `Set(value)`, `Load(p)`, `LoadPartial(p, n)`, `Store(p, v)`,
// `StorePartial(p, v, n)`, `Clamp(v, low, high)`, `Transpose(v[kLanes])`, and
// `MultiplyAdd<kRows, kVectors>(acc, x, weights)`: acc[r][v] += weights[r] * x[v].
//
// No include guard on purpose: it is included once, by one ISA file a translation unit.

template <typename S, int kRows, int kVectors>
struct Accumulators {
  using V = typename S::Vector;
  static constexpr int kTile = kVectors * S::kLanes;
  V value[kRows][kVectors];

  inline __attribute__((always_inline)) void SetRow(int row, float start) {
    for (int v = 0; v < kVectors; ++v) value[row][v] = S::Set(start);
  }

  // Adds the cells [first, last) of one line; `weights` points at the first and steps by `stride`.
  inline __attribute__((always_inline)) void AddCells(const char* x, const uint32_t* offsets, size_t count,
                                                      const float* weights, size_t stride) {
    for (size_t i = 0; i < count; ++i) {
      const float* cell = reinterpret_cast<const float*>(x + offsets[i]);
      V tile[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) tile[v] = S::Load(cell + v * S::kLanes);
      S::template MultiplyAdd<kRows, kVectors>(value, tile, weights);
      weights += stride;
    }
  }

  inline __attribute__((always_inline)) void StoreRow(int row, float low, float high, float* out) const {
    const V lowest = S::Set(low), highest = S::Set(high);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) S::Store(out + v * S::kLanes, S::Clamp(value[row][v], lowest, highest));
  }
};

// Reads one block of up to kLanes vectors of up to kLanes floats and transposes it.
template <typename S>
inline __attribute__((always_inline)) void LoadTransposed(const float* from, size_t stride, size_t vectors,
                                                          size_t floats, typename S::Vector* v) {
  for (size_t i = 0; i < S::kLanes; ++i) v[i] = i < vectors ? S::LoadPartial(from + i * stride, floats) : S::Zero();
  S::Transpose(v);
}

// A full block: no lane is missing, nothing branches.
template <typename S>
inline __attribute__((always_inline)) void TransposeBlock(const float* from, size_t from_stride, float* to,
                                                          size_t to_stride) {
  typename S::Vector v[S::kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < S::kLanes; ++i) v[i] = S::Load(from + static_cast<size_t>(i) * from_stride);
  S::Transpose(v);
#pragma GCC unroll 16
  for (int i = 0; i < S::kLanes; ++i) S::Store(to + static_cast<size_t>(i) * to_stride, v[i]);
}

// Transposes `rows` planar rows of scratch to every segment's NHWC output, channels [channel, channel + rows).
template <typename S>
void StoreRows(const TileArgs& a, size_t tile, size_t channel, size_t rows) {
  constexpr size_t kLanes = S::kLanes;
  const size_t full_rows = rows - rows % kLanes;
  for (uint32_t s = 0; s < a.segment_count; ++s) {
    const Segment& segment = a.segments[s];
    for (size_t p = 0; p < segment.count; p += kLanes) {
      const size_t positions = segment.count - p < kLanes ? segment.count - p : kLanes;
      const float* from = a.scratch + segment.begin + p;
      float* out = segment.out + p * a.out_stride + channel;
      size_t r = 0;
      if (positions == kLanes) {
        for (; r < full_rows; r += kLanes) TransposeBlock<S>(from + r * tile, tile, out + r, a.out_stride);
      }
      for (; r < rows; r += kLanes) {
        const size_t block = rows - r < kLanes ? rows - r : kLanes;
        typename S::Vector v[kLanes];
        LoadTransposed<S>(from + r * tile, tile, block, kLanes, v);
        for (size_t i = 0; i < positions; ++i) {
          float* to = out + i * a.out_stride + r;
          if (block == kLanes) {
            S::Store(to, v[i]);
          } else {
            S::StorePartial(to, v[i], block);
          }
        }
      }
    }
  }
}

template <typename S>
void ToPlanar(const float* in, size_t in_stride, size_t count, size_t channels, float* out, size_t out_stride) {
  constexpr size_t kLanes = S::kLanes;
  const size_t full_channels = channels - channels % kLanes;
  for (size_t p = 0; p < count; p += kLanes) {
    const size_t positions = count - p < kLanes ? count - p : kLanes;
    const float* from = in + p * in_stride;
    size_t c = 0;
    if (positions == kLanes) {
      for (; c < full_channels; c += kLanes)
        TransposeBlock<S>(from + c, in_stride, out + c * out_stride + p, out_stride);
    }
    for (; c < channels; c += kLanes) {
      const size_t block = channels - c < kLanes ? channels - c : kLanes;
      typename S::Vector v[kLanes];
      LoadTransposed<S>(from + c, in_stride, positions, block, v);
      for (size_t i = 0; i < block; ++i) S::Store(out + (c + i) * out_stride + p, v[i]);
    }
  }
}

inline float BiasOf(const TileArgs& a, uint32_t row) { return a.bias == nullptr ? 0.0f : a.bias[row]; }

inline size_t FirstCell(const PackedWeights& w, uint32_t line) {
  return line == 0 ? 0 : size_t{w.line_ends[line - 1]} * w.group_cols;
}

inline size_t CellsOfLine(const PackedWeights& w, uint32_t line) {
  return size_t{w.line_ends[line]} * w.group_cols - FirstCell(w, line);
}

// kRows rows of a band, `weights` at the first of them in the band's first cell.
template <typename S, int kRows, int kVectors>
inline __attribute__((always_inline)) void BandChunk(const TileArgs& a, uint32_t row, const uint32_t* offsets,
                                                     size_t count, const float* weights, size_t stride, float* out) {
  using Acc = Accumulators<S, kRows, kVectors>;
  Acc acc;
  for (int r = 0; r < kRows; ++r) acc.SetRow(r, BiasOf(a, row + r));
  acc.AddCells(reinterpret_cast<const char*>(a.x), offsets, count, weights, stride);
  for (int r = 0; r < kRows; ++r) acc.StoreRow(r, a.low, a.high, out + r * Acc::kTile);
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
  constexpr size_t kTile = Accumulators<S, kRows, kVectors>::kTile;
  const PackedWeights& w = *a.weights;
  const uint32_t first_line = a.row_begin / w.group_rows;
  // All bands but the last are full, so the values of a line start at its first cell times group_rows.
  const float* weights = w.values + FirstCell(w, first_line) * w.group_rows;
  uint32_t held = 0, held_row = a.row_begin;
  for (uint32_t line = first_line; w.FirstRow(line) < a.row_end; ++line) {
    const uint32_t rows = w.RowsOfLine(line);
    const uint32_t* offsets = a.cell_offsets + FirstCell(w, line);
    const size_t count = CellsOfLine(w, line);
    for (uint32_t r = 0; r < rows; r += kRows) {
      if (held + kRows > kScratchRows) {
        StoreRows<S>(a, kTile, held_row, held);
        held_row += held;
        held = 0;
      }
      const uint32_t row = held_row + held;
      float* out = a.scratch + held * kTile;
      if (rows - r >= kRows) {
        BandChunk<S, kRows, kVectors>(a, row, offsets, count, weights + r, rows, out);
        held += kRows;
      } else {
        BandRest<S, kRows - 1, kVectors>(a, rows - r, row, offsets, count, weights + r, rows, out);
        held += rows - r;
      }
    }
    weights += count * rows;
    if (line + 1 == w.line_count) break;
  }
  StoreRows<S>(a, kTile, held_row, held);
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
  uint32_t held = 0, held_row;

  explicit SlidingWalk(const TileArgs& args)
      : a(args), w(*args.weights), x(reinterpret_cast<const char*>(args.x)), held_row(args.row_begin) {}

  inline __attribute__((always_inline)) void Add(uint32_t line) {
    const size_t first = FirstCell(w, line);
    acc.AddCells(x, a.cell_offsets + first, CellsOfLine(w, line), w.values + first * kRows, kRows);
  }

  inline __attribute__((always_inline)) void Finish(int slot, uint32_t row) {
    if (row >= a.row_begin && row < a.row_end) {
      if (held == kScratchRows) {
        StoreRows<S>(a, Acc::kTile, held_row, held);
        held_row += held;
        held = 0;
      }
      acc.StoreRow(slot, a.low, a.high, a.scratch + held * Acc::kTile);
      ++held;
    }
    const uint32_t next = row + kRows;
    acc.SetRow(slot, next < w.out_channels ? BiasOf(a, next) : 0.0f);
  }
};

template <typename S, int kRows, int kVectors>
void SlidingTile(const TileArgs& a) {
  SlidingWalk<S, kRows, kVectors> walk(a);
  const PackedWeights& w = *a.weights;
  const uint32_t first_line = a.row_begin >= kRows - 1 ? a.row_begin - (kRows - 1) : 0;
  const uint32_t base = first_line - first_line % kRows;
#pragma GCC unroll 16
  for (int s = 0; s < kRows; ++s) {
    const uint32_t row = base + s < first_line ? base + s + kRows : base + s;
    walk.acc.SetRow(s, row < w.out_channels ? BiasOf(a, row) : 0.0f);
  }
  for (uint32_t row = base; row < a.row_end; row += kRows) {
#pragma GCC unroll 16
    for (int s = 0; s < kRows; ++s) {
      if (row + s < first_line) continue;
      if (row + s < w.line_count) walk.Add(row + s);
      walk.Finish(s, row + s);
    }
  }
  StoreRows<S>(a, SlidingWalk<S, kRows, kVectors>::Acc::kTile, walk.held_row, walk.held);
}

// Sliding-row for any number of rows: accumulators live in memory. For the group sizes that have no kernel of their
// own.
template <typename S>
void SlidingTileAnyRows(const TileArgs& a) {
  constexpr size_t kTile = S::kLanes;
  const PackedWeights& w = *a.weights;
  const uint32_t rows = w.group_rows;
  typename S::Vector acc[kMaxSlidingRows];
  const uint32_t first_line = a.row_begin >= rows - 1 ? a.row_begin - (rows - 1) : 0;
  for (uint32_t row = first_line; row < first_line + rows; ++row) {
    acc[row % rows] = S::Set(row < w.out_channels ? BiasOf(a, row) : 0.0f);
  }
  const auto low = S::Set(a.low), high = S::Set(a.high);
  uint32_t held = 0, held_row = a.row_begin;
  for (uint32_t row = first_line; row < a.row_end; ++row) {
    if (row < w.line_count) {
      const size_t first = FirstCell(w, row);
      const float* weights = w.values + first * rows;
      for (size_t i = 0; i < CellsOfLine(w, row); ++i, weights += rows) {
        const auto tile =
            S::Load(reinterpret_cast<const float*>(reinterpret_cast<const char*>(a.x) + a.cell_offsets[first + i]));
        for (uint32_t r = 0; r < rows; ++r) acc[r] = S::MultiplyAddOne(acc[r], tile, weights[r]);
      }
    }
    if (row >= a.row_begin) {
      if (held == kScratchRows) {
        StoreRows<S>(a, kTile, held_row, held);
        held_row += held;
        held = 0;
      }
      S::Store(a.scratch + held * kTile, S::Clamp(acc[row % rows], low, high));
      ++held;
    }
    acc[row % rows] = S::Set(row + rows < w.out_channels ? BiasOf(a, row + rows) : 0.0f);
  }
  StoreRows<S>(a, kTile, held_row, held);
}

// kRows neighbouring floats as one value; the compiler maps it to the registers of the instruction set.
template <int kRows>
struct Lanes {
  typedef float Vector __attribute__((vector_size(4 * kRows)));
  typedef float Memory __attribute__((vector_size(4 * kRows), aligned(4), may_alias));
};
template <>
struct Lanes<1> {
  typedef float Vector;
  typedef float Memory;
};

// Floats in a register of the instruction set this file is compiled for.
#if defined(__AVX512F__)
constexpr int kPixelLanes = 16;
#elif defined(__AVX__)
constexpr int kPixelLanes = 8;
#else
constexpr int kPixelLanes = 4;
#endif

// Matrix times one pixel: sums[r] += sum of weights[i * stride + r] * x[cell i] over the cells of a line. Four sums run
// side by side to hide the latency of an addition; their order is fixed, so results never depend on threads.
template <int kRows>
inline __attribute__((always_inline)) void AddCellsOfPixel(const char* x, const uint32_t* offsets, size_t count,
                                                           const float* weights, size_t stride, float* sums) {
  constexpr int kWidth = kRows < kPixelLanes ? kRows : kPixelLanes, kParts = kRows / kWidth;
  using Vector = typename Lanes<kWidth>::Vector;
  using Memory = typename Lanes<kWidth>::Memory;
  Vector side[4][kParts] = {};
  const auto add = [&](Vector * sum, size_t i) __attribute__((always_inline)) {
    const float value = *reinterpret_cast<const float*>(x + offsets[i]);
    const Memory* column = reinterpret_cast<const Memory*>(weights + i * stride);
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part) sum[part] += column[part] * value;
  };
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
#pragma GCC unroll 4
    for (size_t u = 0; u < 4; ++u) add(side[u], i + u);
  }
  for (; i < count; ++i) add(side[0], i);
  Memory* out = reinterpret_cast<Memory*>(sums);
  for (int part = 0; part < kParts; ++part) {
    out[part] = out[part] + ((side[0][part] + side[1][part]) + (side[2][part] + side[3][part]));
  }
}

inline void AddCellsOfPixelAnyRows(const char* x, const uint32_t* offsets, size_t count, const float* weights,
                                   size_t stride, uint32_t rows, float* sums) {
  uint32_t r = 0;
  for (; r + 16 <= rows; r += 16) AddCellsOfPixel<16>(x, offsets, count, weights + r, stride, sums + r);
  if (rows - r >= 8) AddCellsOfPixel<8>(x, offsets, count, weights + r, stride, sums + r), r += 8;
  if (rows - r >= 4) AddCellsOfPixel<4>(x, offsets, count, weights + r, stride, sums + r), r += 4;
  if (rows - r >= 2) AddCellsOfPixel<2>(x, offsets, count, weights + r, stride, sums + r), r += 2;
  if (rows - r >= 1) AddCellsOfPixel<1>(x, offsets, count, weights + r, stride, sums + r);
}

inline float ClampOne(float value, float low, float high) {
  const float raised = value < low ? low : value;
  return raised > high ? high : raised;
}

inline void RowBandPixel(const TileArgs& a) {
  const PackedWeights& w = *a.weights;
  const char* x = reinterpret_cast<const char*>(a.x);
  float* out = a.segments[0].out;
  for (uint32_t row = a.row_begin; row < a.row_end; ++row) out[row] = BiasOf(a, row);
  const uint32_t first_line = a.row_begin / w.group_rows;
  for (uint32_t line = first_line; line < w.line_count && w.FirstRow(line) < a.row_end; ++line) {
    const size_t first = FirstCell(w, line);
    const uint32_t rows = w.RowsOfLine(line);
    AddCellsOfPixelAnyRows(x, a.cell_offsets + first, CellsOfLine(w, line), w.values + first * w.group_rows, rows, rows,
                           out + w.FirstRow(line));
  }
  for (uint32_t row = a.row_begin; row < a.row_end; ++row) out[row] = ClampOne(out[row], a.low, a.high);
}

inline void SlidingPixel(const TileArgs& a) {
  const PackedWeights& w = *a.weights;
  const char* x = reinterpret_cast<const char*>(a.x);
  float* out = a.segments[0].out;
  const uint32_t rows = w.group_rows;
  const uint32_t first_line = a.row_begin >= rows - 1 ? a.row_begin - (rows - 1) : 0;
  float sums[kMaxSlidingRows];
  for (uint32_t row = first_line; row < first_line + rows; ++row) {
    sums[row % rows] = row < w.out_channels ? BiasOf(a, row) : 0.0f;
  }
  for (uint32_t row = first_line; row < a.row_end; ++row) {
    if (row < w.line_count) {
      const size_t first = FirstCell(w, row);
      AddCellsOfPixelAnyRows(x, a.cell_offsets + first, CellsOfLine(w, row), w.values + first * rows, rows, rows, sums);
    }
    if (row >= a.row_begin) out[row] = ClampOne(sums[row % rows], a.low, a.high);
    sums[row % rows] = row + rows < w.out_channels ? BiasOf(a, row + rows) : 0.0f;
  }
}

template <typename S, int kRows, int kVectors>
Kernel RowBand(const char* name) {
  return {name, static_cast<size_t>(kVectors * S::kLanes), RowBandTile<S, kRows, kVectors>};
}

template <typename S, int kRows, int kVectors>
Kernel Sliding(const char* name) {
  return {name, static_cast<size_t>(kVectors * S::kLanes), SlidingTile<S, kRows, kVectors>};
}
