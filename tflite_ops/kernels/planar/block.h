// SPDX-License-Identifier: Apache-2.0
// The kernels of blocks, templated over one instruction set `S` as generic.h, behind which an ISA file includes this.
//
// Sums of one band at a time lie in memory (`RowWriter` hands it out) and start with the bias. A block either takes
// some of its rows into registers and runs over its columns (block-rows), or takes the inputs of its columns into
// registers and runs over its rows (block-columns). At the end of a band its sums are clamped.

static_assert(kScratchRows >= kMaxBandRows, "the sums of a band must fit");

// `kRows` rows of a chunk of `stride` rows: their sums go to registers, over all columns, and back.
template <typename S, int kRows, int kVectors>
inline __attribute__((always_inline)) void BlockChunk(const char* x, const uint32_t* offsets, size_t count,
                                                      const float* weights, size_t stride, const uint8_t* rows,
                                                      float* sums, size_t row_stride) {
  Accumulators<S, kRows, kVectors> acc;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) acc.value[r][v] = S::Load(sums + rows[r] * row_stride + v * S::kLanes);
  }
  acc.AddCells(x, offsets, count, weights, stride);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) S::Store(sums + rows[r] * row_stride + v * S::kLanes, acc.value[r][v]);
  }
}

// The same for 1 .. kRows rows.
template <typename S, int kRows, int kVectors>
__attribute__((noinline)) void BlockPiece(uint32_t piece, const char* x, const uint32_t* offsets, size_t count,
                                          const float* weights, size_t stride, const uint8_t* rows, float* sums,
                                          size_t row_stride) {
  if constexpr (kRows > 0) {
    if (piece == kRows)
      return BlockChunk<S, kRows, kVectors>(x, offsets, count, weights, stride, rows, sums, row_stride);
    BlockPiece<S, kRows - 1, kVectors>(piece, x, offsets, count, weights, stride, rows, sums, row_stride);
  }
}

// One block of block-rows; returns the end of its weights.
template <typename S, int kRows, int kVectors>
inline const float* AddRowsOfBlock(const TileArgs& a, const Block& block, const float* weights, float* sums) {
  const char* x = reinterpret_cast<const char*>(a.x);
  const uint32_t* offsets = a.cell_offsets + block.first_group;
  const Chunks chunks(block.row_count, a.weights->group_rows);
  const uint8_t* rows = block.rows;
  for (uint32_t chunk = 0; chunk < chunks.count; ++chunk) {
    const uint32_t size = chunks.Rows(chunk);
    const Chunks pieces(size, kRows);
    for (uint32_t piece = 0, done = 0; piece < pieces.count; done += pieces.Rows(piece++)) {
      BlockPiece<S, kRows, kVectors>(pieces.Rows(piece), x, offsets, block.column_count, weights + done, size,
                                     rows + done, sums, a.row_stride);
    }
    weights += size_t{size} * block.column_count;
    rows += size;
  }
  return weights;
}

// One block of kColumns columns of block-columns.
template <typename S, int kColumns, int kVectors>
inline __attribute__((always_inline)) void AddRowsOfColumns(const char* x, const uint32_t* offsets, const uint8_t* rows,
                                                            uint32_t row_count, const float* weights, float* sums,
                                                            size_t row_stride) {
  using V = typename S::Vector;
  V input[kColumns][kVectors];
#pragma GCC unroll 4
  for (int c = 0; c < kColumns; ++c) {
    const float* cell = reinterpret_cast<const float*>(x + offsets[c]);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) input[c][v] = S::Load(cell + v * S::kLanes);
  }
  for (uint32_t r = 0; r < row_count; ++r) {
    float* row = sums + rows[r] * row_stride;
    V sum[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[v] = S::Load(row + v * S::kLanes);
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[v] = S::MultiplyAddOne(sum[v], input[c][v], weights[c]);
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) S::Store(row + v * S::kLanes, sum[v]);
    weights += kColumns;
  }
}

template <typename S, int kVectors>
inline const float* AddBlockOfColumns(const TileArgs& a, const Block& block, const float* weights, float* sums) {
  const char* x = reinterpret_cast<const char*>(a.x);
  const uint32_t* offsets = a.cell_offsets + block.first_group;
  switch (block.column_count) {
    case 1:
      AddRowsOfColumns<S, 1, kVectors>(x, offsets, block.rows, block.row_count, weights, sums, a.row_stride);
      break;
    case 2:
      AddRowsOfColumns<S, 2, kVectors>(x, offsets, block.rows, block.row_count, weights, sums, a.row_stride);
      break;
    case 3:
      AddRowsOfColumns<S, 3, kVectors>(x, offsets, block.rows, block.row_count, weights, sums, a.row_stride);
      break;
    default:
      AddRowsOfColumns<S, 4, kVectors>(x, offsets, block.rows, block.row_count, weights, sums, a.row_stride);
  }
  return weights + size_t{block.row_count} * block.column_count;
}

// Walks the bands of [row_begin, row_end); `add(block, weights, sums)` adds one block and returns the end of its
// weights.
template <typename S, int kVectors, typename Add>
inline __attribute__((always_inline)) void BlockTile(const TileArgs& a, Add add) {
  const PackedWeights& w = *a.weights;
  RowWriter<S> writer(a);
  const auto low = S::Set(a.low), high = S::Set(a.high);
  const bool clamps = a.low > -__builtin_inff() || a.high < __builtin_inff();
  for (uint32_t band = a.row_begin / w.band_rows; band < w.band_count && band * w.band_rows < a.row_end; ++band) {
    const uint32_t first = band * w.band_rows;
    const uint32_t rows = w.out_channels - first < w.band_rows ? w.out_channels - first : w.band_rows;
    float* sums = writer.Next(rows);
    for (uint32_t r = 0; r < rows; ++r) {
      const auto bias = S::Set(BiasOf(a, first + r));
      for (int v = 0; v < kVectors; ++v) S::Store(sums + r * a.row_stride + v * S::kLanes, bias);
    }
    const float* weights = w.values + w.band_values[band];
    for (uint32_t block = band == 0 ? 0 : w.band_ends[band - 1]; block < w.band_ends[band]; ++block) {
      weights = add(BlockOf(w, band, block), weights, sums);
    }
    for (uint32_t r = 0; clamps && r < rows; ++r) {
      float* row = sums + r * a.row_stride;
      for (int v = 0; v < kVectors; ++v) {
        S::Store(row + v * S::kLanes, S::Clamp(S::Load(row + v * S::kLanes), low, high));
      }
    }
  }
  writer.Flush();
}

template <typename S, int kRows, int kVectors>
struct BlockRows {
  static void Run(const TileArgs& a) {
    BlockTile<S, kVectors>(a, [&](const Block& block, const float* weights, float* sums) {
      return AddRowsOfBlock<S, kRows, kVectors>(a, block, weights, sums);
    });
  }
};

template <typename S, int kRows, int kVectors>
struct BlockColumns {
  static void Run(const TileArgs& a) {
    BlockTile<S, kVectors>(a, [&](const Block& block, const float* weights, float* sums) {
      return AddBlockOfColumns<S, kVectors>(a, block, weights, sums);
    });
  }
};

// The rows of the bands of [row_begin, row_end) of one pixel: start, `add(band)`, clamp.
template <typename Add>
inline void BlockPixel(const TileArgs& a, Add add) {
  const PackedWeights& w = *a.weights;
  float* out = a.segments[0].out;
  for (uint32_t row = a.row_begin; row < a.row_end; ++row) out[row] = BiasOf(a, row);
  for (uint32_t band = a.row_begin / w.band_rows; band < w.band_count && band * w.band_rows < a.row_end; ++band) {
    const float* weights = w.values + w.band_values[band];
    for (uint32_t block = band == 0 ? 0 : w.band_ends[band - 1]; block < w.band_ends[band]; ++block) {
      weights = add(BlockOf(w, band, block), weights, out + band * w.band_rows);
    }
  }
  for (uint32_t row = a.row_begin; row < a.row_end; ++row) out[row] = ClampOne(out[row], a.low, a.high);
}

inline void BlockRowsPixel(const TileArgs& a) {
  const char* x = reinterpret_cast<const char*>(a.x);
  BlockPixel(a, [&](const Block& block, const float* weights, float* out) {
    const Chunks chunks(block.row_count, a.weights->group_rows);
    const uint8_t* rows = block.rows;
    for (uint32_t chunk = 0; chunk < chunks.count; ++chunk) {
      const uint32_t size = chunks.Rows(chunk);
      float sums[kMaxBlockRows] = {};
      AddCellsOfPixelAnyRows(x, a.cell_offsets + block.first_group, block.column_count, weights, size, size, sums);
      for (uint32_t r = 0; r < size; ++r) out[rows[r]] += sums[r];
      weights += size_t{size} * block.column_count;
      rows += size;
    }
    return weights;
  });
}

inline void BlockColumnsPixel(const TileArgs& a) {
  const char* x = reinterpret_cast<const char*>(a.x);
  BlockPixel(a, [&](const Block& block, const float* weights, float* out) {
    float input[kMaxBlockColumns] = {};
    for (uint32_t c = 0; c < block.column_count; ++c) {
      input[c] = *reinterpret_cast<const float*>(x + a.cell_offsets[block.first_group + c]);
    }
    for (uint32_t r = 0; r < block.row_count; ++r, weights += block.column_count) {
      float sum = out[block.rows[r]];
      for (uint32_t c = 0; c < block.column_count; ++c) sum += weights[c] * input[c];
      out[block.rows[r]] = sum;
    }
    return weights;
  });
}

template <typename S>
KernelSet ChooseBlockKernels(Encoding encoding) {
  const bool rows = encoding == Encoding::kBlockRows;
  return {rows ? AllWidths<S, BlockRows, S::kMostBlockRows, S::kBlockVectors>(S::kBlockRowsName)
               : AllWidths<S, BlockColumns, 1, S::kBlockVectors>(S::kBlockColumnsName),
          rows ? Kernel{S::kBlockRowsSingleName, 1, 1, {BlockRowsPixel}}
               : Kernel{S::kBlockColumnsSingleName, 1, 1, {BlockColumnsPixel}},
          ToPlanar<S>, FromPlanar<S>, CopyStrided<S>};
}
