// SPDX-License-Identifier: Apache-2.0
// Groups of four rows on NEON, six vectors of positions at a time: what lies around the loops of
// arm_neon_four_rows.S. A part of arm_neon.cc, behind generic.h.
//
// The loops run whole rounds of four rows: bands, or four start rows of sliding rows, after which four rows are
// complete. Rows outside [row_begin, row_end) of a round at an end go to a buffer of their own.

// What the loops get; they know the places of the fields.
struct FourRowsRun {
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
  float* sums;  // [4][positions], before and after; sliding rows only
  uint64_t clamps;
  size_t bias_bytes;  // from one bias to the next (bands: from four to the next four), or 0 where all are zero
  uint64_t unused;
  float low[4], high[4];
};
static_assert(offsetof(FourRowsRun, last_bias) == 32 && offsetof(FourRowsRun, addend_bytes) == 64 &&
                  offsetof(FourRowsRun, bias_bytes) == 96 && offsetof(FourRowsRun, low) == 112,
              "arm_neon_four_rows.S reads these places");

}  // namespace
extern "C" {
#define TFPRUNE_FOUR_ROWS(vectors)                               \
  void tfprune_neon_sliding_4x##vectors(const FourRowsRun* run); \
  void tfprune_neon_bands_4x##vectors(const FourRowsRun* run);
TFPRUNE_FOUR_ROWS(1)
TFPRUNE_FOUR_ROWS(2)
TFPRUNE_FOUR_ROWS(4)
TFPRUNE_FOUR_ROWS(6)
#undef TFPRUNE_FOUR_ROWS
}
namespace {

template <int kVectors>
struct FourRowsLoops;
#define TFPRUNE_FOUR_ROWS(vectors)                                                          \
  template <>                                                                               \
  struct FourRowsLoops<vectors> {                                                           \
    static void Sliding(const FourRowsRun& run) { tfprune_neon_sliding_4x##vectors(&run); } \
    static void Bands(const FourRowsRun& run) { tfprune_neon_bands_4x##vectors(&run); }     \
  };
TFPRUNE_FOUR_ROWS(1)
TFPRUNE_FOUR_ROWS(2)
TFPRUNE_FOUR_ROWS(4)
TFPRUNE_FOUR_ROWS(6)
#undef TFPRUNE_FOUR_ROWS

constexpr float kNoBias[4] = {};

template <int kVectors>
struct FourRows {
  static constexpr uint32_t kTile = 4 * kVectors;
  const TileArgs& a;
  const PackedWeights& w;
  RowWriter<Simd> writer;
  FourRowsRun run = {};

  explicit FourRows(const TileArgs& args) : a(args), w(*args.weights), writer(args) {
    run.row_bytes = a.row_stride * sizeof(float);
    run.addend_bytes = a.addend_stride * sizeof(float);
    run.clamps = a.low != -INFINITY || a.high != INFINITY;
    for (int i = 0; i < 4; ++i) run.low[i] = a.low, run.high[i] = a.high;
  }

  void StartAt(uint32_t line) {
    const uint32_t known = line < w.line_count ? line : w.line_count;
    run.steps = a.cell_offsets + StepsBegin(w, line);
    run.x = reinterpret_cast<const char*>(a.x) + run.steps[1];
    run.weights = w.values + w.FirstCell(known) * 4;
  }

  // How many whole rounds from `row` on can go to where the writer wants them now; none means one at an edge.
  uint32_t WholeRounds(uint32_t row) {
    if (row < a.row_begin || row + 4 > a.row_end || a.room < 4) return 0;
    if (a.room - writer.held < 4) writer.Flush();
    const uint32_t rows = a.row_end - row, room = a.room - writer.held;
    return (rows < room ? rows : room) / 4;
  }

  void PlaceRows(uint32_t row, uint32_t rounds) {
    run.rounds = rounds;
    run.out = writer.Next(4 * rounds);
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
    const uint32_t last = row + 4 * rounds;
    float ends[4];
    for (uint32_t s = 0; s < 4; ++s) ends[s] = BiasOrZero(last + s);
    run.bias_bytes = a.bias == nullptr ? 0 : sizeof(float);
    run.bias = a.bias == nullptr ? kNoBias : a.bias + (rounds > 1 ? row + 4 : 0);
    run.last_bias = ends;
    StartAt(row);
    FourRowsLoops<kVectors>::Sliding(run);
  }

  void SlidingEdge(uint32_t row) {
    float rows[4 * kTile];
    FourRows edge(a);
    edge.run.clamps = 0;
    edge.run.row_bytes = kTile * sizeof(float);
    edge.run.out = rows;
    edge.run.rounds = 1;
    edge.run.sums = run.sums;
    edge.SlidingRounds(row, 1);
    for (uint32_t s = 0; s < 4; ++s) {
      if (row + s >= a.row_begin && row + s < a.row_end) StoreRow(row + s, rows + s * kTile);
    }
  }

  void Sliding() {
    const uint32_t first_line = a.row_begin >= 3 ? a.row_begin - 3 : 0, base = first_line - first_line % 4;
    float sums[4 * kTile];
    for (uint32_t s = 0; s < 4; ++s) {
      for (uint32_t p = 0; p < kTile; ++p) sums[s * kTile + p] = BiasOrZero(base + s);
    }
    run.sums = sums;
    for (uint32_t row = base; row < a.row_end;) {
      const uint32_t rounds = WholeRounds(row);
      if (rounds == 0) {
        SlidingEdge(row);
        row += 4;
        continue;
      }
      PlaceRows(row, rounds);
      SlidingRounds(row, rounds);
      row += 4 * rounds;
    }
    writer.Flush();
  }

  // The last band, of fewer than four rows.
  template <int kRows>
  void LastBand(uint32_t row, uint32_t rows) {
    if constexpr (kRows > 0) {
      if (rows != kRows) return LastBand<kRows - 1>(row, rows);
      Accumulators<Simd, kRows, kVectors> acc;
      for (int r = 0; r < kRows; ++r) acc.SetRow(r, BiasOf(a, row + r));
      StartAt(row / 4);
      const char* x = run.x;
      for (uint32_t i = 0; i < run.steps[0]; ++i) {
        acc.AddCell(x, 0, run.weights + i * kRows, acc.value);
        x += static_cast<int32_t>(run.steps[2 + i]);
      }
      for (int r = 0; r < kRows; ++r) {
        acc.StoreRow(r, row + r, a, Simd::Set(a.low), Simd::Set(a.high), writer.Next(1));
      }
    }
  }

  void Bands() {
    run.bias_bytes = a.bias == nullptr ? 0 : sizeof(kNoBias);
    for (uint32_t row = a.row_begin; row < a.row_end;) {
      const uint32_t rounds = WholeRounds(row);
      if (rounds == 0) return LastBand<3>(row, a.row_end - row), writer.Flush();
      PlaceRows(row, rounds);
      run.bias = a.bias == nullptr ? kNoBias : a.bias + row;
      StartAt(row / 4);
      FourRowsLoops<kVectors>::Bands(run);
      row += 4 * rounds;
    }
    writer.Flush();
  }
};

template <int kVectors>
void SlidingFourRows(const TileArgs& a) {
  FourRows<kVectors>(a).Sliding();
}

template <int kVectors>
void BandsOfFourRows(const TileArgs& a) {
  FourRows<kVectors>(a).Bands();
}

Kernel FourRowsKernel(Encoding encoding) {
  if (encoding == Encoding::kRowBand) {
    return {Simd::kRowBandName,
            24,
            4,
            {24, 16, 8, 4},
            {BandsOfFourRows<6>, BandsOfFourRows<4>, BandsOfFourRows<2>, BandsOfFourRows<1>},
            true};
  }
  return {Simd::kSlidingName,
          24,
          4,
          {24, 16, 8, 4},
          {SlidingFourRows<6>, SlidingFourRows<4>, SlidingFourRows<2>, SlidingFourRows<1>},
          true};
}
