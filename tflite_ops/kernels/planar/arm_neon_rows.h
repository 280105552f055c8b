// SPDX-License-Identifier: Apache-2.0
// Groups of one, two and four rows on NEON: what lies around the loops of arm_neon_rows.S. A part of arm_neon.cc,
// behind generic.h.
//
// The loops run whole rounds of kRows rows: bands, or start rows of sliding rows, after which as many rows are
// complete. Rows outside [row_begin, row_end) of a round at an end go to a buffer of their own.

// What the loops get; they know the places of the fields.
struct RowsRun {
  const char* x;          // inputs of the first cell
  const uint32_t* steps;  // of the first line, see planar.h
  const float* weights;
  const float* bias;       // sliding rows: of the rows that take the sums of complete ones; bands: of the rows
  const float* last_bias;  // the same for the last round
  float* out;
  size_t row_bytes;
  const float* addend;  // nullptr for none
  size_t addend_bytes;
  uint64_t rounds;
  float* sums;  // [kRows][positions], before and after; sliding rows only
  uint64_t clamps;
  size_t bias_bytes;  // from one bias to the next, or 0 where all are zero
  uint64_t unused;
  float low[4], high[4];
};
static_assert(offsetof(RowsRun, last_bias) == 32 && offsetof(RowsRun, addend_bytes) == 64 &&
                  offsetof(RowsRun, bias_bytes) == 96 && offsetof(RowsRun, low) == 112,
              "arm_neon_rows.S reads these places");

}  // namespace
#define TFPRUNE_SLIDING_AND_BANDS(rows, vectors) TFPRUNE_SLIDING(rows, vectors) TFPRUNE_BANDS(rows, vectors)
#define TFPRUNE_LOOPS             \
  TFPRUNE_SLIDING_AND_BANDS(4, 6) \
  TFPRUNE_SLIDING_AND_BANDS(4, 4) \
  TFPRUNE_SLIDING_AND_BANDS(4, 2) \
  TFPRUNE_SLIDING_AND_BANDS(4, 1) \
  TFPRUNE_SLIDING_AND_BANDS(2, 8) \
  TFPRUNE_SLIDING_AND_BANDS(2, 4) \
  TFPRUNE_SLIDING_AND_BANDS(2, 2) \
  TFPRUNE_SLIDING_AND_BANDS(2, 1) \
  TFPRUNE_BANDS(1, 8)             \
  TFPRUNE_BANDS(1, 4)             \
  TFPRUNE_BANDS(1, 2)             \
  TFPRUNE_BANDS(1, 1)

extern "C" {
#define TFPRUNE_SLIDING(rows, vectors) void tfprune_neon_sliding_##rows##x##vectors(const RowsRun* run);
#define TFPRUNE_BANDS(rows, vectors) void tfprune_neon_bands_##rows##x##vectors(const RowsRun* run);
TFPRUNE_LOOPS
#undef TFPRUNE_SLIDING
#undef TFPRUNE_BANDS
}
namespace {

template <int kRows, int kVectors>
void RunSliding(const RowsRun& run);
template <int kRows, int kVectors>
void RunBands(const RowsRun& run);
#define TFPRUNE_SLIDING(rows, vectors)                 \
  template <>                                          \
  void RunSliding<rows, vectors>(const RowsRun& run) { \
    tfprune_neon_sliding_##rows##x##vectors(&run);     \
  }
#define TFPRUNE_BANDS(rows, vectors)                 \
  template <>                                        \
  void RunBands<rows, vectors>(const RowsRun& run) { \
    tfprune_neon_bands_##rows##x##vectors(&run);     \
  }
TFPRUNE_LOOPS
#undef TFPRUNE_SLIDING
#undef TFPRUNE_BANDS
#undef TFPRUNE_SLIDING_AND_BANDS
#undef TFPRUNE_LOOPS

constexpr float kNoBias = 0.0f;

template <int kRows, int kVectors>
struct Rounds {
  static constexpr uint32_t kTile = 4 * kVectors;
  const TileArgs& a;
  const PackedWeights& w;
  RowWriter<Simd> writer;
  RowsRun run = {};

  explicit Rounds(const TileArgs& args) : a(args), w(*args.weights), writer(args) {
    run.row_bytes = a.row_stride * sizeof(float);
    run.addend_bytes = a.addend_stride * sizeof(float);
    run.clamps = a.low != -INFINITY || a.high != INFINITY;
    for (int i = 0; i < 4; ++i) run.low[i] = a.low, run.high[i] = a.high;
  }

  void StartAt(uint32_t line) {
    const uint32_t known = line < w.line_count ? line : w.line_count;
    run.steps = a.cell_offsets + StepsBegin(w, line);
    run.x = reinterpret_cast<const char*>(a.x) + run.steps[1];
    run.weights = w.values + w.FirstCell(known) * kRows;
  }

  // How many whole rounds from `row` on can go to where the writer wants them now; none means one at an edge.
  uint32_t WholeRounds(uint32_t row) {
    if (row < a.row_begin || row + kRows > a.row_end || a.room < kRows) return 0;
    if (a.room - writer.held < kRows) writer.Flush();
    const uint32_t rows = a.row_end - row, room = a.room - writer.held;
    return (rows < room ? rows : room) / kRows;
  }

  void PlaceRows(uint32_t row, uint32_t rounds) {
    run.rounds = rounds;
    run.out = writer.Next(kRows * rounds);
    run.addend = a.addend == nullptr ? nullptr : a.addend + row * a.addend_stride;
  }

  float BiasOrZero(uint32_t row) const { return row < w.out_channels ? BiasOf(a, row) : 0.0f; }

  // A row whose sum is complete, but neither added to nor clamped.
  void StoreRow(uint32_t row, const float* sums) {
    Accumulators<Simd, 1, kVectors> acc;
    for (int v = 0; v < kVectors; ++v) acc.value[0][v] = Simd::Load(sums + 4 * v);
    acc.StoreRow(0, row, a, Simd::Set(a.low), Simd::Set(a.high), writer.Next(1));
  }

  void SlidingRounds(uint32_t row, uint32_t rounds) {
    const uint32_t last = row + kRows * rounds;
    float ends[kRows];
    for (uint32_t s = 0; s < kRows; ++s) ends[s] = BiasOrZero(last + s);
    run.bias_bytes = a.bias == nullptr ? 0 : sizeof(float);
    run.bias = a.bias == nullptr ? &kNoBias : a.bias + (rounds > 1 ? row + kRows : 0);
    run.last_bias = ends;
    StartAt(row);
    RunSliding<kRows, kVectors>(run);
  }

  void SlidingEdge(uint32_t row) {
    float rows[kRows * kTile];
    Rounds edge(a);
    edge.run.clamps = 0;
    edge.run.row_bytes = kTile * sizeof(float);
    edge.run.out = rows;
    edge.run.rounds = 1;
    edge.run.sums = run.sums;
    edge.SlidingRounds(row, 1);
    for (uint32_t s = 0; s < kRows; ++s) {
      if (row + s >= a.row_begin && row + s < a.row_end) StoreRow(row + s, rows + s * kTile);
    }
  }

  void Sliding() {
    const uint32_t first_line = a.row_begin >= kRows - 1 ? a.row_begin - (kRows - 1) : 0;
    const uint32_t base = first_line - first_line % kRows;
    float sums[kRows * kTile];
    for (uint32_t s = 0; s < kRows; ++s) {
      const float32x4_t start = Simd::Set(BiasOrZero(base + s));
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) Simd::Store(sums + s * kTile + 4 * v, start);
    }
    run.sums = sums;
    for (uint32_t row = base; row < a.row_end;) {
      const uint32_t rounds = WholeRounds(row);
      if (rounds == 0) {
        SlidingEdge(row);
        row += kRows;
        continue;
      }
      PlaceRows(row, rounds);
      SlidingRounds(row, rounds);
      row += kRows * rounds;
    }
    writer.Flush();
  }

  // The last band, of fewer rows.
  template <int kFew>
  void LastBand(uint32_t row, uint32_t rows) {
    if constexpr (kFew > 0) {
      if (rows != kFew) return LastBand<kFew - 1>(row, rows);
      Accumulators<Simd, kFew, kVectors> acc;
      for (int r = 0; r < kFew; ++r) acc.SetRow(r, BiasOf(a, row + r));
      StartAt(row / kRows);
      const char* x = run.x;
      for (uint32_t i = 0; i < run.steps[0]; ++i) {
        acc.AddCell(x, 0, run.weights + i * kFew, acc.value);
        x += static_cast<int32_t>(run.steps[2 + i]);
      }
      for (int r = 0; r < kFew; ++r) {
        acc.StoreRow(r, row + r, a, Simd::Set(a.low), Simd::Set(a.high), writer.Next(1));
      }
    }
  }

  void Bands() {
    run.bias_bytes = a.bias == nullptr ? 0 : sizeof(float);
    for (uint32_t row = a.row_begin; row < a.row_end;) {
      const uint32_t rounds = WholeRounds(row);
      if (rounds == 0) return LastBand<kRows - 1>(row, a.row_end - row), writer.Flush();
      PlaceRows(row, rounds);
      run.bias = a.bias == nullptr ? &kNoBias : a.bias + row;
      StartAt(row / kRows);
      RunBands<kRows, kVectors>(run);
      row += kRows * rounds;
    }
    writer.Flush();
  }
};

template <int kRows, int kVectors>
void SlidingInRounds(const TileArgs& a) {
  Rounds<kRows, kVectors>(a).Sliding();
}

template <int kRows, int kVectors>
void BandsInRounds(const TileArgs& a) {
  Rounds<kRows, kVectors>(a).Bands();
}

// Sliding rows of one row are bands of one row.
template <int kRows, int kMost>
Kernel RowsKernel(Encoding encoding) {
  Kernel kernel = {
      Simd::kRowBandName,
      4 * kMost,
      4,
      {4 * kMost, 16, 8, 4},
      {BandsInRounds<kRows, kMost>, BandsInRounds<kRows, 4>, BandsInRounds<kRows, 2>, BandsInRounds<kRows, 1>},
      true};
  if (encoding == Encoding::kRowBand) return kernel;
  kernel.name = Simd::kSlidingName;
  if constexpr (kRows > 1) {
    kernel.runs[0] = SlidingInRounds<kRows, kMost>;
    kernel.runs[1] = SlidingInRounds<kRows, 4>;
    kernel.runs[2] = SlidingInRounds<kRows, 2>;
    kernel.runs[3] = SlidingInRounds<kRows, 1>;
  }
  return kernel;
}
