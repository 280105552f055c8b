// SPDX-License-Identifier: Apache-2.0
// The body of the planar kernels, templated over one instruction set `S`. Each ISA file defines S and includes this
// file inside its own namespace, so code built with different compiler flags never meets in the linker.
//
// S provides: `Vector`, `kLanes`, `Zero()`, `Set(value)`, `Load(p)`, `LoadPartial(p, n)`, `Store(p, v)`,
// `StorePartial(p, v, n)`, `Clamp(v, low, high)`, `Transpose(v[kLanes])`, `Even(a, b)`: the even floats of two vectors,
// `Add(a, b)`, `MultiplyAdd<kRows, kVectors>(acc, x, weights)`: acc[r][v] += weights[r] * x[v], `kLoadsInPairs`:
// whether one instruction loads two neighbouring vectors from an address in a register, the names and tile sizes that
// ChooseKernels asks for.
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

  // The sums of a single row are split in two: a multiply-add waits about four others for its sum. The same for every
  // width, so that a result does not depend on the tile that computed it.
  static constexpr int kSides = kRows == 1 ? 2 : 1;

  static inline __attribute__((always_inline)) void AddCell(const char* x, uint32_t offset, const float* weights,
                                                            V (&sums)[kRows][kVectors]) {
    const float* cell = reinterpret_cast<const float*>(x + offset);
    if constexpr (S::kLoadsInPairs) asm("" : "+r"(cell));  // else the first vector is loaded from x + offset, alone
    V tile[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) tile[v] = S::Load(cell + v * S::kLanes);
    S::template MultiplyAdd<kRows, kVectors>(sums, tile, weights);
  }

  // The same as AddCells; places and weights come in pairs too. The cells keep their order, and so the sums their bits.
  inline __attribute__((always_inline)) void AddPairsOfCells(const char* x, const uint32_t* offsets, size_t count,
                                                             const float* weights, size_t stride) {
    const uint32_t* const end = offsets + (count - count % 2);
    for (; offsets != end; offsets += 2, weights += 2 * stride) {
      AddCell(x, offsets[0], weights, value);
      AddCell(x, offsets[1], weights + stride, value);
    }
    if (count % 2 != 0) AddCell(x, *offsets, weights, value);
  }

  // Adds `count` cells of one line; `weights` points at the first and steps by `stride`.
  inline __attribute__((always_inline)) void AddCells(const char* x, const uint32_t* offsets, size_t count,
                                                      const float* weights, size_t stride) {
    if constexpr (S::kLoadsInPairs && kSides == 1) return AddPairsOfCells(x, offsets, count, weights, stride);
    size_t i = 0;
    if constexpr (kSides > 1) {
      V side[kSides - 1][kRows][kVectors];
      for (auto& sums : side) {
        for (auto& row : sums) {
          for (V& sum : row) sum = S::Zero();
        }
      }
      for (; i + kSides <= count; i += kSides) {
        AddCell(x, offsets[i], weights, value);
        weights += stride;
#pragma GCC unroll 4
        for (int s = 1; s < kSides; ++s, weights += stride) AddCell(x, offsets[i + s], weights, side[s - 1]);
      }
      for (const auto& sums : side) {
        for (int r = 0; r < kRows; ++r) {
          for (int v = 0; v < kVectors; ++v) value[r][v] = S::Add(value[r][v], sums[r][v]);
        }
      }
    }
    for (; i < count; ++i, weights += stride) AddCell(x, offsets[i], weights, value);
  }

  // Row `row` of the layer, in accumulator `slot`.
  inline __attribute__((always_inline)) void StoreRow(int slot, uint32_t row, const TileArgs& a, V lowest, V highest,
                                                      float* out) const {
    if (__builtin_expect(a.addend != nullptr, 0)) {
      const float* addend = a.addend + row * a.addend_stride;
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const V sum = S::Add(value[slot][v], S::Load(addend + v * S::kLanes));
        S::Store(out + v * S::kLanes, S::Clamp(sum, lowest, highest));
      }
      return;
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) S::Store(out + v * S::kLanes, S::Clamp(value[slot][v], lowest, highest));
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

template <typename S>
void FromPlanar(const float* in, size_t in_stride, size_t count, size_t channels, float* out, size_t out_stride) {
  constexpr size_t kLanes = S::kLanes;
  const size_t full_channels = channels - channels % kLanes;
  for (size_t p = 0; p < count; p += kLanes) {
    const size_t positions = count - p < kLanes ? count - p : kLanes;
    const float* from = in + p;
    float* to = out + p * out_stride;
    size_t c = 0;
    if (positions == kLanes) {
      for (; c < full_channels; c += kLanes) TransposeBlock<S>(from + c * in_stride, in_stride, to + c, out_stride);
    }
    for (; c < channels; c += kLanes) {
      const size_t block = channels - c < kLanes ? channels - c : kLanes;
      typename S::Vector v[kLanes];
      LoadTransposed<S>(from + c * in_stride, in_stride, block, kLanes, v);
      for (size_t i = 0; i < positions; ++i) {
        if (block == kLanes) {
          S::Store(to + i * out_stride + c, v[i]);
        } else {
          S::StorePartial(to + i * out_stride + c, v[i], block);
        }
      }
    }
  }
}

template <typename S>
void CopyRun(const float* in, size_t count, float* out) {
  size_t i = 0;
  for (; i + S::kLanes <= count; i += S::kLanes) S::Store(out + i, S::Load(in + i));
  if (i < count) S::StorePartial(out + i, S::LoadPartial(in + i, count - i), count - i);
}

template <typename S>
void CopyStrided(const float* in, size_t stride, size_t count, float* out) {
  if (stride == 1) return CopyRun<S>(in, count, out);
  size_t i = 0;
  if (stride == 2) {
    // Two vectors hold the even floats of one; the last of them is behind what may be read at the end.
    for (; i + S::kLanes < count; i += S::kLanes) {
      S::Store(out + i, S::Even(S::Load(in + 2 * i), S::Load(in + 2 * i + S::kLanes)));
    }
  }
  for (; i < count; ++i) out[i] = in[i * stride];
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

// Hands out the rows a kernel writes, and moves them to their segments when no more fit.
template <typename S>
struct RowWriter {
  const TileArgs& a;
  uint32_t held = 0, first;  // rows waiting, and the first of them

  explicit RowWriter(const TileArgs& args) : a(args), first(args.row_begin) {}

  inline __attribute__((always_inline)) float* Next(uint32_t rows) {
    if (held + rows > a.room) Flush();
    float* place = a.rows + held * a.row_stride;
    held += rows;
    return place;
  }

  __attribute__((noinline)) void Flush() {
    for (uint32_t s = 0; s < a.segment_count; ++s) {
      const Segment& segment = a.segments[s];
      const float* from = a.rows + segment.begin;
      float* to = segment.out + first * a.channel_stride;
      if (a.position_stride == 1) {
        for (uint32_t r = 0; r < held; ++r) {
          CopyRun<S>(from + r * a.row_stride, segment.count, to + r * a.channel_stride);
        }
      } else {
        FromPlanar<S>(from, a.row_stride, segment.count, held, to, a.position_stride);
      }
    }
    first += held;
    held = 0;
  }
};

// Tile by tile, so that the tiles' channels are read one after the other.
template <typename S>
void GatherTiles(const TiledImage& image, uint32_t first, uint32_t count, uint32_t begin, uint32_t end, float* out,
                 size_t out_stride) {
  for (uint32_t p = begin, run = 0; p < end; p += run, out += run) {
    run = image.Rest(p) < end - p ? image.Rest(p) : end - p;
    const float* from = image.At(p) + first * image.stride;
    for (uint32_t c = 0; c < count; ++c, from += image.stride) {
      for (uint32_t i = 0; i < run; i += S::kLanes) S::Store(out + c * out_stride + i, S::Load(from + i));
    }
  }
}

template <typename S>
void ScatterTiles(const TiledImage& image, uint32_t first, uint32_t count, uint32_t begin, uint32_t end,
                  const float* in, size_t in_stride) {
  for (uint32_t p = begin, run = 0; p < end; p += run, in += run) {
    run = image.Rest(p) < end - p ? image.Rest(p) : end - p;
    float* to = image.At(p) + first * image.stride;
    for (uint32_t c = 0; c < count; ++c, to += image.stride) {
      for (uint32_t i = 0; i < run; i += S::kLanes) S::Store(to + i, S::Load(in + c * in_stride + i));
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
  Accumulators<S, kRows, kVectors> acc;
  for (int r = 0; r < kRows; ++r) acc.SetRow(r, BiasOf(a, row + r));
  acc.AddCells(reinterpret_cast<const char*>(a.x), offsets, count, weights, stride);
  const auto low = S::Set(a.low), high = S::Set(a.high);
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
  const float* weights = w.values + FirstCell(w, first_line) * w.group_rows;
  RowWriter<S> writer(a);
  for (uint32_t line = first_line; w.FirstRow(line) < a.row_end; ++line) {
    const uint32_t first = w.FirstRow(line), rows = w.RowsOfLine(line);
    const uint32_t* offsets = a.cell_offsets + FirstCell(w, line);
    const size_t count = CellsOfLine(w, line);
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
    const size_t first = FirstCell(w, line);
    acc.AddCells(x, a.cell_offsets + first, CellsOfLine(w, line), w.values + first * kRows, kRows);
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
    const size_t first = FirstCell(w, row), row_stride = a.row_stride;
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
      const size_t first = FirstCell(w, row);
      const float* weights = w.values + first * rows;
      for (size_t i = 0; i < CellsOfLine(w, row); ++i, weights += rows) {
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

// Where the cells of a line find their inputs in one pixel: at byte offsets made beforehand, or, where groups are one
// column wide, at the columns of the packed weights themselves, a quarter of the bytes.
struct OffsetInputs {
  const char* x;
  const uint32_t* offsets;
  float operator()(size_t i) { return *reinterpret_cast<const float*>(x + offsets[i]); }
};
struct DeltaInputs {
  const float* x;
  const uint16_t* deltas;
  float operator()(size_t i) { return *(x += deltas[i]); }
};

// kWidth neighbouring weights of one column.
template <int kWidth>
inline __attribute__((always_inline)) typename Lanes<kWidth>::Vector LoadWeights(const float* p) {
  return *reinterpret_cast<const typename Lanes<kWidth>::Memory*>(p);
}
#if defined(__AVX512F__)
template <int kWidth>
inline __attribute__((always_inline)) typename Lanes<kWidth>::Vector LoadWeights(const uint16_t* p) {
  static_assert(kWidth == 16, "halves come sixteen at a time");
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return reinterpret_cast<typename Lanes<16>::Vector>(_mm512_maskz_cvtph_ps(0xFFFF, halves));
}
#elif defined(__aarch64__)
template <int kWidth>
inline __attribute__((always_inline)) typename Lanes<kWidth>::Vector LoadWeights(const uint16_t* p) {
  static_assert(kWidth == 4, "halves come four at a time");
  return reinterpret_cast<typename Lanes<4>::Vector>(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))));
}
#endif

// Bytes: how far ahead of their use weights are asked for, which is what a stream of them from memory waits on.
constexpr size_t kPixelPrefetch = 2048;

// Matrix times one pixel: sums[r] += sum of weights[i * stride + r] * inputs(i) over the cells of a line. Four sums run
// side by side to hide the latency of an addition; their order is fixed, so results never depend on threads.
template <int kRows, typename Inputs, typename Weight, typename Sum>
inline __attribute__((always_inline)) void AddCellsToSums(Inputs inputs, size_t count, const Weight* weights,
                                                          size_t stride, Sum* sums) {
  constexpr int kWidth = kRows < kPixelLanes ? kRows : kPixelLanes, kParts = kRows / kWidth;
  using Vector = typename Lanes<kWidth>::Vector;
  Vector side[4][kParts] = {};
  const auto add = [&](Vector * sum, size_t i) __attribute__((always_inline)) {
    const float value = inputs(i);
    const Weight* column = weights + i * stride;
    if (kRows == 16) __builtin_prefetch(column + kPixelPrefetch / sizeof(Weight));
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part) sum[part] += LoadWeights<kWidth>(column + part * kWidth) * value;
  };
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
#pragma GCC unroll 4
    for (size_t u = 0; u < 4; ++u) add(side[u], i + u);
  }
  for (; i < count; ++i) add(side[0], i);
#pragma GCC unroll 4
  for (int part = 0; part < kParts; ++part) {
    sums[part] = sums[part] + ((side[0][part] + side[1][part]) + (side[2][part] + side[3][part]));
  }
}

// The same with sums in memory, anywhere.
template <int kRows, typename Inputs, typename Weight>
inline __attribute__((always_inline)) void AddCellsOfPixel(Inputs inputs, size_t count, const Weight* weights,
                                                           size_t stride, float* sums) {
  constexpr int kWidth = kRows < kPixelLanes ? kRows : kPixelLanes, kParts = kRows / kWidth;
  typename Lanes<kWidth>::Vector registers[kParts];
  __builtin_memcpy(registers, sums, sizeof registers);
  AddCellsToSums<kRows>(inputs, count, weights, stride, registers);
  __builtin_memcpy(sums, registers, sizeof registers);
}

template <typename Inputs>
inline void AddCellsOfPixelAnyRows(Inputs inputs, size_t count, const float* weights, size_t stride, uint32_t rows,
                                   float* sums) {
  uint32_t r = 0;
  for (; r + 16 <= rows; r += 16) AddCellsOfPixel<16>(inputs, count, weights + r, stride, sums + r);
  if (rows - r >= 8) AddCellsOfPixel<8>(inputs, count, weights + r, stride, sums + r), r += 8;
  if (rows - r >= 4) AddCellsOfPixel<4>(inputs, count, weights + r, stride, sums + r), r += 4;
  if (rows - r >= 2) AddCellsOfPixel<2>(inputs, count, weights + r, stride, sums + r), r += 2;
  if (rows - r >= 1) AddCellsOfPixel<1>(inputs, count, weights + r, stride, sums + r);
}

// Whole lines of sixteen rows read float16 weights as they are stored: half the bytes.
inline bool AddHalvesOfPixel(const PackedWeights& w, uint32_t line, size_t count, DeltaInputs inputs, float* sums) {
#if defined(__AVX512F__) || defined(__aarch64__)
  const uint32_t rows = w.RowsOfLine(line);
  if (w.halves == nullptr || rows % 16 != 0) return false;
  const uint16_t* halves = w.halves + FirstCell(w, line) * w.group_rows;
  for (uint32_t r = 0; r < rows; r += 16) AddCellsOfPixel<16>(inputs, count, halves + r, rows, sums + r);
  return true;
#else
  (void)w, (void)line, (void)count, (void)inputs, (void)sums;
  return false;
#endif
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
    const size_t count = CellsOfLine(w, line);
    const float* weights = w.values + first * w.group_rows;
    float* sums = out + w.FirstRow(line);
    if (w.group_cols > 1) {
      AddCellsOfPixelAnyRows(OffsetInputs{x, a.cell_offsets + first}, count, weights, rows, rows, sums);
    } else {
      const DeltaInputs inputs = {a.x, w.column_deltas + first};
      if (AddHalvesOfPixel(w, line, count, inputs, sums)) continue;
      AddCellsOfPixelAnyRows(inputs, count, weights, rows, rows, sums);
    }
  }
  for (uint32_t row = a.row_begin; row < a.row_end; ++row) out[row] = ClampOne(out[row], a.low, a.high);
}

inline void SlidingPixelAnyRows(const TileArgs& a) {
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
      AddCellsOfPixelAnyRows(OffsetInputs{x, a.cell_offsets + first}, CellsOfLine(w, row), w.values + first * rows,
                             rows, rows, sums);
    }
    if (row >= a.row_begin) out[row] = ClampOne(sums[row % rows], a.low, a.high);
    sums[row % rows] = row + rows < w.out_channels ? BiasOf(a, row + rows) : 0.0f;
  }
}

// The sums of the kRows rows that a sliding line reaches, in registers from line to line: a row that is stored to
// memory one by one and loaded with the others would hold up every line.
template <int kRows>
struct SlidingSums {
  static constexpr int kWidth = kRows < kPixelLanes ? kRows : kPixelLanes, kParts = kRows / kWidth;
  using Vector = typename Lanes<kWidth>::Vector;
  typedef int32_t Numbers __attribute__((vector_size(4 * kWidth)));
  Vector value[kParts] = {};
  Numbers number[kParts];  // of each lane

  SlidingSums() {
    for (int row = 0; row < kRows; ++row) number[row / kWidth][row % kWidth] = row;
  }
  inline __attribute__((always_inline)) void SetRow(uint32_t slot, float start) {
    const Numbers wanted = Numbers{} + static_cast<int32_t>(slot);
    const Vector starts = Vector{} + start;
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part) value[part] = number[part] == wanted ? starts : value[part];
  }
  inline __attribute__((always_inline)) float Row(uint32_t slot) const {
    float all[kRows];
    __builtin_memcpy(all, value, sizeof all);
    return all[slot];
  }
};

// Sliding-row weights of kRows rows times one pixel; `weights` are those of the layer's first line.
template <int kRows, typename Weight>
inline void SlidingPixelRows(const TileArgs& a, const Weight* weights) {
  const PackedWeights& w = *a.weights;
  float* out = a.segments[0].out;
  const uint32_t first_line = a.row_begin >= kRows - 1 ? a.row_begin - (kRows - 1) : 0;
  SlidingSums<kRows> sums;
  for (uint32_t row = first_line; row < first_line + kRows; ++row) {
    sums.SetRow(row % kRows, row < w.out_channels ? BiasOf(a, row) : 0.0f);
  }
  for (uint32_t row = first_line; row < a.row_end; ++row) {
    if (row < w.line_count) {
      const size_t first = FirstCell(w, row);
      const DeltaInputs inputs = {a.x, w.column_deltas + first};
      AddCellsToSums<kRows>(inputs, CellsOfLine(w, row), weights + first * kRows, kRows, sums.value);
    }
    if (row >= a.row_begin) out[row] = ClampOne(sums.Row(row % kRows), a.low, a.high);
    sums.SetRow(row % kRows, row + kRows < w.out_channels ? BiasOf(a, row + kRows) : 0.0f);
  }
}

inline void SlidingPixel(const TileArgs& a) {
  const PackedWeights& w = *a.weights;
  if (w.group_cols == 1) {
#if defined(__AVX512F__) || defined(__aarch64__)
    if (w.halves != nullptr && w.group_rows == 16) return SlidingPixelRows<16>(a, w.halves);
#endif
    if (w.group_rows == 16) return SlidingPixelRows<16>(a, w.values);
    if (w.group_rows == 8) return SlidingPixelRows<8>(a, w.values);
    if (w.group_rows == 4) return SlidingPixelRows<4>(a, w.values);
  }
  SlidingPixelAnyRows(a);
}

// The kernel and its narrower versions, halving down to one vector.
template <typename S, template <typename, int, int> class Body, int kRows, int kVectors>
Kernel AllWidths(const char* name) {
  Kernel kernel = {name, static_cast<uint32_t>(kVectors * S::kLanes), static_cast<uint32_t>(S::kLanes), {}};
  kernel.runs[0] = Body<S, kRows, kVectors>::Run;
  if constexpr (kVectors >= 2) kernel.runs[1] = Body<S, kRows, kVectors / 2>::Run;
  if constexpr (kVectors >= 4) kernel.runs[2] = Body<S, kRows, kVectors / 4>::Run;
  if constexpr (kVectors >= 8) kernel.runs[3] = Body<S, kRows, kVectors / 8>::Run;
  return kernel;
}

template <typename S, int kRows, int kVectors>
struct RowBand {
  static void Run(const TileArgs& a) { RowBandTile<S, kRows, kVectors>(a); }
};

template <typename S, int kRows, int kVectors>
struct Sliding {
  static void Run(const TileArgs& a) { SlidingTile<S, kRows, kVectors>(a); }
};

// Bands are computed in chunks of 1, 2, 4 or S::kMostBandRows rows.
template <typename S>
Kernel RowBandKernel(uint32_t group_rows) {
  const char* name = S::kRowBandName;
  if (group_rows == 1) return AllWidths<S, RowBand, 1, S::VectorsFor(1)>(name);
  if (group_rows < 4) return AllWidths<S, RowBand, 2, S::VectorsFor(2)>(name);
  if (group_rows < 8) return AllWidths<S, RowBand, 4, S::VectorsFor(4)>(name);
  return AllWidths<S, RowBand, S::kMostBandRows, S::VectorsFor(S::kMostBandRows)>(name);
}

template <typename S>
Kernel SlidingKernel(uint32_t group_rows) {
  const char* name = S::kSlidingName;
  if (group_rows == 1) return AllWidths<S, Sliding, 1, S::VectorsFor(1)>(name);
  if (group_rows == 2) return AllWidths<S, Sliding, 2, S::VectorsFor(2)>(name);
  if (group_rows == 4) return AllWidths<S, Sliding, 4, S::VectorsFor(4)>(name);
  if (group_rows == 8) return AllWidths<S, Sliding, 8, S::VectorsFor(8)>(name);
  if constexpr (S::VectorsFor(16) > 0) {
    if (group_rows == 16) return AllWidths<S, Sliding, 16, S::VectorsFor(16)>(name);
  }
  return {S::kSlidingAnyName, S::kLanes, S::kLanes, {SlidingTileAnyRows<S>}};
}

template <typename S>
KernelSet ChooseKernels(Encoding encoding, uint32_t group_rows) {
  const bool band = encoding == Encoding::kRowBand;
  return {
      band ? RowBandKernel<S>(group_rows) : SlidingKernel<S>(group_rows),
      band ? Kernel{S::kRowBandSingleName, 1, 1, {RowBandPixel}} : Kernel{S::kSlidingSingleName, 1, 1, {SlidingPixel}},
      ToPlanar<S>,
      FromPlanar<S>,
      CopyStrided<S>,
      GatherTiles<S>,
      ScatterTiles<S>};
}
