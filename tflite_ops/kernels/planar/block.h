// SPDX-License-Identifier: Apache-2.0
// The kernels of blocks, templated over one instruction set `S` as generic.h, behind which an ISA file includes this.
//
// Sums of one band at a time lie in memory (`RowWriter` hands it out) and start with the bias. A block either takes
// some of its rows into registers and runs over its columns (block-rows), or takes the inputs of its columns into
// registers and runs over its rows (block-columns). At the end of a band its sums are clamped.
//
// Besides what generic.h asks for, S provides `kWeightsByLane`: whether `AddRow<lane, kVectors>(row, x, weights)` adds
// x times one lane of a vector of weights, and how many sums of a block fit its registers (`kMostBlockRows` rows of
// `kBlockVectors` vectors).

static_assert(kScratchRows >= kMaxBandRows, "the sums of a band must fit");

// One block at work: its rows, counted from the first of `sums`, whose rows lie `row_bytes` apart; the places of its
// columns from `x`, in bytes; its weights.
struct BlockWork {
  const char* x;
  const uint32_t* offsets;
  uint32_t column_count, row_count;
  const uint8_t* rows;
  const float* weights;
  char* sums;
  size_t row_bytes;

  inline __attribute__((always_inline)) float* Sum(uint32_t row) const {
    char* place = sums + rows[row] * row_bytes;
    asm("" : "+r"(place));  // one address for all vectors of a row, so that they are loaded and stored in pairs
    return reinterpret_cast<float*>(place);
  }
};

// Adds `kRows` rows of a chunk of `stride` rows: their sums go to registers, over all columns, and back.
template <typename S, int kRows, int kVectors>
inline __attribute__((always_inline)) void BlockChunk(const BlockWork& b, uint32_t first, const float* weights,
                                                      size_t stride) {
  Accumulators<S, kRows, kVectors> acc;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const float* sum = b.Sum(first + r);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) acc.value[r][v] = S::Load(sum + v * S::kLanes);
  }
  acc.AddCells(b.x, b.offsets, b.column_count, weights, stride);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    float* sum = b.Sum(first + r);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) S::Store(sum + v * S::kLanes, acc.value[r][v]);
  }
}

// The same for `rows` rows, 1 .. kRows.
template <typename S, int kRows, int kVectors>
inline __attribute__((always_inline)) void BlockPiece(uint32_t rows, const BlockWork& b, uint32_t first,
                                                      const float* weights, size_t stride) {
  if constexpr (kRows > 0) {
    if (rows == kRows) return BlockChunk<S, kRows, kVectors>(b, first, weights, stride);
    BlockPiece<S, kRows - 1, kVectors>(rows, b, first, weights, stride);
  }
}

template <typename S, int kRows, int kVectors>
inline __attribute__((always_inline)) void AddRowsOfBlock(const BlockWork& b, uint32_t group_rows) {
  const Chunks chunks(b.row_count, group_rows);
  const float* weights = b.weights;
  for (uint32_t chunk = 0, first = 0; chunk < chunks.count; ++chunk) {
    const uint32_t size = chunks.Rows(chunk);
    const Chunks pieces(size, kRows);
    for (uint32_t piece = 0, done = 0; piece < pieces.count; done += pieces.Rows(piece++)) {
      BlockPiece<S, kRows, kVectors>(pieces.Rows(piece), b, first + done, weights + done, size);
    }
    weights += size_t{size} * b.column_count;
    first += size;
  }
}

template <typename S, int kColumns, int kVectors>
inline __attribute__((always_inline)) void AddColumnsToSum(const typename S::Vector (&input)[kColumns][kVectors],
                                                           const float* weights, typename S::Vector (&sum)[kVectors]) {
  if constexpr (S::kWeightsByLane && kColumns == 4) {
    const auto four = S::Load(weights);
    S::template AddRow<0, kVectors>(sum, input[0], four);
    S::template AddRow<1, kVectors>(sum, input[1], four);
    S::template AddRow<2, kVectors>(sum, input[2], four);
    S::template AddRow<3, kVectors>(sum, input[3], four);
  } else {
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[v] = S::MultiplyAddOne(sum[v], input[c][v], weights[c]);
    }
  }
}

// A block of kColumns columns: their inputs stay in registers while the rows go by.
template <typename S, int kColumns, int kVectors>
inline __attribute__((always_inline)) void AddColumnsOfBlock(const BlockWork& b) {
  using V = typename S::Vector;
  V input[kColumns][kVectors];
#pragma GCC unroll 4
  for (int c = 0; c < kColumns; ++c) {
    const float* cell = reinterpret_cast<const float*>(b.x + b.offsets[c]);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) input[c][v] = S::Load(cell + v * S::kLanes);
  }
  const float* weights = b.weights;
  for (uint32_t r = 0; r < b.row_count; ++r, weights += kColumns) {
    float* row = b.Sum(r);
    V sum[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[v] = S::Load(row + v * S::kLanes);
    AddColumnsToSum<S, kColumns, kVectors>(input, weights, sum);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) S::Store(row + v * S::kLanes, sum[v]);
  }
}

// Calls `add(block)` for the blocks of one band.
template <typename Add>
inline __attribute__((always_inline)) void ForBlocksOfBand(const TileArgs& a, uint32_t band, float* sums, Add add) {
  const PackedWeights& w = *a.weights;
  const uint32_t *const row_ends = w.row_ends, *const line_ends = w.line_ends;
  const uint32_t end = w.band_ends[band];
  uint32_t block = band == 0 ? 0 : w.band_ends[band - 1];
  if (block == end) return;
  uint32_t row = block == 0 ? 0 : row_ends[block - 1], group = block == 0 ? 0 : line_ends[block - 1];
  BlockWork work = {reinterpret_cast<const char*>(a.x),
                    a.cell_offsets + group,
                    0,
                    0,
                    w.block_rows + row,
                    w.values + w.band_values[band],
                    reinterpret_cast<char*>(sums),
                    a.row_stride * sizeof(float)};
  for (; block < end; ++block) {
    work.row_count = row_ends[block] - row;
    work.column_count = line_ends[block] - group;
    add(work);
    row += work.row_count;
    group += work.column_count;
    work.rows += work.row_count;
    work.offsets += work.column_count;
    work.weights += size_t{work.row_count} * work.column_count;
  }
}

// Walks the bands of [row_begin, row_end).
template <typename S, int kVectors, typename Add>
inline __attribute__((always_inline)) void BlockTile(const TileArgs& a, Add add) {
  const PackedWeights& w = *a.weights;
  RowWriter<S> writer(a);
  const auto low = S::Set(a.low), high = S::Set(a.high);
  const bool finishes = a.low > -__builtin_inff() || a.high < __builtin_inff() || a.addend != nullptr;
  for (uint32_t band = a.row_begin / w.band_rows; band < w.band_count && band * w.band_rows < a.row_end; ++band) {
    const uint32_t first = band * w.band_rows;
    const uint32_t rows = w.out_channels - first < w.band_rows ? w.out_channels - first : w.band_rows;
    float* sums = writer.Next(rows);
    for (uint32_t r = 0; r < rows; ++r) {
      const auto bias = S::Set(BiasOf(a, first + r));
      for (int v = 0; v < kVectors; ++v) S::Store(sums + r * a.row_stride + v * S::kLanes, bias);
    }
    ForBlocksOfBand(a, band, sums, add);
    for (uint32_t r = 0; finishes && r < rows; ++r) {
      float* row = sums + r * a.row_stride;
      for (int v = 0; v < kVectors; ++v) {
        auto sum = S::Load(row + v * S::kLanes);
        if (a.addend != nullptr) {
          sum = S::Add(sum, S::Load(a.addend + (first + r) * a.addend_stride + v * S::kLanes));
        }
        S::Store(row + v * S::kLanes, S::Clamp(sum, low, high));
      }
    }
  }
  writer.Flush();
}

template <typename S, int kRows, int kVectors>
struct BlockRows {
  static void Run(const TileArgs& a) {
    const uint32_t group_rows = a.weights->group_rows;
    BlockTile<S, kVectors>(
        a, [group_rows](const BlockWork& b)
               __attribute__((always_inline)) { AddRowsOfBlock<S, kRows, kVectors>(b, group_rows); });
  }
};

template <typename S, int kRows, int kVectors>
struct BlockColumns {
  static void Run(const TileArgs& a) {
    BlockTile<S, kVectors>(
        a, [](const BlockWork& b) __attribute__((always_inline)) {
          if (b.column_count == 4) return AddColumnsOfBlock<S, 4, kVectors>(b);
          if (b.column_count == 3) return AddColumnsOfBlock<S, 3, kVectors>(b);
          if (b.column_count == 2) return AddColumnsOfBlock<S, 2, kVectors>(b);
          AddColumnsOfBlock<S, 1, kVectors>(b);
        });
  }
};

// The rows of the bands of [row_begin, row_end) of one pixel: start, `add(block, sums of the band)`, clamp.
template <typename Add>
inline void BlockPixel(const TileArgs& a, Add add) {
  const PackedWeights& w = *a.weights;
  float* out = a.segments[0].out;
  for (uint32_t row = a.row_begin; row < a.row_end; ++row) out[row] = BiasOf(a, row);
  for (uint32_t band = a.row_begin / w.band_rows; band < w.band_count && band * w.band_rows < a.row_end; ++band) {
    float* sums = out + band * w.band_rows;
    ForBlocksOfBand(a, band, sums, [&](const BlockWork& b) { add(b, sums); });
  }
  for (uint32_t row = a.row_begin; row < a.row_end; ++row) out[row] = ClampOne(out[row], a.low, a.high);
}

inline void BlockRowsPixel(const TileArgs& a) {
  BlockPixel(a, [&a](const BlockWork& b, float* out) {
    const Chunks chunks(b.row_count, a.weights->group_rows);
    const uint8_t* rows = b.rows;
    const float* weights = b.weights;
    for (uint32_t chunk = 0; chunk < chunks.count; ++chunk) {
      const uint32_t size = chunks.Rows(chunk);
      float sums[kMaxBlockRows] = {};
      AddCellsOfPixelAnyRows(OffsetInputs{b.x, b.offsets}, b.column_count, weights, size, size, sums);
      for (uint32_t r = 0; r < size; ++r) out[rows[r]] += sums[r];
      weights += size_t{size} * b.column_count;
      rows += size;
    }
  });
}

inline void BlockColumnsPixel(const TileArgs& a) {
  BlockPixel(a, [](const BlockWork& b, float* out) {
    float input[kMaxBlockColumns] = {};
    for (uint32_t c = 0; c < b.column_count; ++c) input[c] = *reinterpret_cast<const float*>(b.x + b.offsets[c]);
    const float* weights = b.weights;
    for (uint32_t r = 0; r < b.row_count; ++r, weights += b.column_count) {
      float sum = out[b.rows[r]];
      for (uint32_t c = 0; c < b.column_count; ++c) sum += weights[c] * input[c];
      out[b.rows[r]] = sum;
    }
  });
}

template <typename S>
KernelSet ChooseBlockKernels(Encoding encoding) {
  const bool rows = encoding == Encoding::kBlockRows;
  return {rows ? AllWidths<S, BlockRows, S::kMostBlockRows, S::kBlockVectors>(S::kBlockRowsName)
               : AllWidths<S, BlockColumns, 1, S::kBlockVectors>(S::kBlockColumnsName),
          rows ? OneWidth(S::kBlockRowsSingleName, 1, BlockRowsPixel)
               : OneWidth(S::kBlockColumnsSingleName, 1, BlockColumnsPixel),
          ToPlanar<S>,
          FromPlanar<S>,
          CopyStrided<S>,
          GatherTiles<S>,
          ScatterTiles<S>,
          0};
}
