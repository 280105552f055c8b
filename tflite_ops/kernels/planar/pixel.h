// SPDX-License-Identifier: Apache-2.0
// Packed weights times one pixel. A part of generic.h, which includes it.

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
template <typename Step>
struct StepInputs {
  const float* x;
  const Step* steps;
  float operator()(size_t i) { return *(x += steps[i]); }
};

// Calls `add(inputs)` with the inputs of the line whose first group is `first`; groups are one column wide.
template <typename Add>
inline __attribute__((always_inline)) void WithSteps(const TileArgs& a, size_t first, Add add) {
  const PackedWeights& w = *a.weights;
  if (w.steps8 != nullptr) return add(StepInputs<uint8_t>{a.x, w.steps8 + first});
  add(StepInputs<uint16_t>{a.x, w.steps16 + first});
}

// kWidth neighbouring weights of one column.
template <int kWidth>
inline __attribute__((always_inline)) typename Lanes<kWidth>::Vector LoadWeights(const float* p) {
  return *reinterpret_cast<const typename Lanes<kWidth>::Memory*>(p);
}
// The same for float16 weights, a multiple of kHalfRows of them: what HalfRowsOfPixel says.
#if defined(__F16C__) || defined(__AVX512VL__)
constexpr uint32_t kHalfRows = 4;
template <int kWidth>
inline __attribute__((always_inline)) typename Lanes<kWidth>::Vector LoadWeights(const uint16_t* p) {
  using Vector = typename Lanes<kWidth>::Vector;
  static_assert(kWidth == 4 || kWidth == 8 || kWidth == 16, "halves come in these numbers");
#if defined(__AVX512F__)
  if constexpr (kWidth == 16) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return reinterpret_cast<Vector>(_mm512_maskz_cvtph_ps(0xFFFF, halves));
  }
#endif
  if constexpr (kWidth == 8) {
    return reinterpret_cast<Vector>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  if constexpr (kWidth == 4) {
    return reinterpret_cast<Vector>(_mm_cvtph_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
}
#elif defined(__aarch64__)
constexpr uint32_t kHalfRows = 4;
template <int kWidth>
inline __attribute__((always_inline)) typename Lanes<kWidth>::Vector LoadWeights(const uint16_t* p) {
  static_assert(kWidth == 4, "halves come four at a time");
  return reinterpret_cast<typename Lanes<4>::Vector>(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))));
}
#else
constexpr uint32_t kHalfRows = 0;  // SSE2 has no conversion
#endif

// Bytes: how far ahead of their use weights are asked for, which is what a stream of them from memory waits on.
constexpr size_t kPixelPrefetch = 6144;

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

// Of float16 weights `rows` is a multiple of kHalfRows.
template <typename Inputs, typename Weight>
inline void AddCellsOfPixelAnyRows(Inputs inputs, size_t count, const Weight* weights, size_t stride, uint32_t rows,
                                   float* sums) {
  uint32_t r = 0;
  for (; r + 16 <= rows; r += 16) AddCellsOfPixel<16>(inputs, count, weights + r, stride, sums + r);
  if (rows - r >= 8) AddCellsOfPixel<8>(inputs, count, weights + r, stride, sums + r), r += 8;
  if (rows - r >= 4) AddCellsOfPixel<4>(inputs, count, weights + r, stride, sums + r), r += 4;
  if constexpr (sizeof(Weight) == sizeof(float)) {
    if (rows - r >= 2) AddCellsOfPixel<2>(inputs, count, weights + r, stride, sums + r), r += 2;
    if (rows - r >= 1) AddCellsOfPixel<1>(inputs, count, weights + r, stride, sums + r);
  }
}

inline float ClampOne(float value, float low, float high) {
  const float raised = value < low ? low : value;
  return raised > high ? high : raised;
}

// `all` are the weights of the layer.
template <typename Weight>
inline void RowBandPixelOf(const TileArgs& a, const Weight* all) {
  const PackedWeights& w = *a.weights;
  const char* x = reinterpret_cast<const char*>(a.x);
  float* out = a.segments[0].out;
  for (uint32_t row = a.row_begin; row < a.row_end; ++row) out[row] = BiasOf(a, row);
  const uint32_t first_line = a.row_begin / w.group_rows;
  for (uint32_t line = first_line; line < w.line_count && w.FirstRow(line) < a.row_end; ++line) {
    const size_t first = w.FirstCell(line);
    const uint32_t rows = w.RowsOfLine(line);
    const size_t count = w.CellsOfLine(line);
    const Weight* weights = all + first * w.group_rows;
    float* sums = out + w.FirstRow(line);
    if (w.group_cols == 1) {
      WithSteps(a, first, [&](auto inputs) { AddCellsOfPixelAnyRows(inputs, count, weights, rows, rows, sums); });
    } else {
      AddCellsOfPixelAnyRows(OffsetInputs{x, a.cell_offsets + first}, count, weights, rows, rows, sums);
    }
  }
  for (uint32_t row = a.row_begin; row < a.row_end; ++row) out[row] = ClampOne(out[row], a.low, a.high);
}

inline void RowBandPixel(const TileArgs& a) {
  if constexpr (kHalfRows > 0) {
    if (ReadsHalvesOfPixel(*a.weights, kHalfRows)) return RowBandPixelOf(a, a.weights->halves);
  }
  RowBandPixelOf(a, a.weights->values);
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
      const size_t first = w.FirstCell(row);
      const size_t count = w.CellsOfLine(row);
      const float* weights = w.values + first * rows;
      if (w.group_cols == 1) {
        WithSteps(a, first, [&](auto inputs) { AddCellsOfPixelAnyRows(inputs, count, weights, rows, rows, sums); });
      } else {
        AddCellsOfPixelAnyRows(OffsetInputs{x, a.cell_offsets + first}, count, weights, rows, rows, sums);
      }
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

// Sliding-row weights of kRows rows times one pixel; `weights` and `steps` are those of the layer's first line.
template <int kRows, typename Weight, typename Step>
inline void SlidingPixelRows(const TileArgs& a, const Weight* weights, const Step* steps) {
  const PackedWeights& w = *a.weights;
  float* out = a.segments[0].out;
  const uint32_t first_line = a.row_begin >= kRows - 1 ? a.row_begin - (kRows - 1) : 0;
  SlidingSums<kRows> sums;
  for (uint32_t row = first_line; row < first_line + kRows; ++row) {
    sums.SetRow(row % kRows, row < w.out_channels ? BiasOf(a, row) : 0.0f);
  }
  for (uint32_t row = first_line; row < a.row_end; ++row) {
    if (row < w.line_count) {
      const size_t first = w.FirstCell(row);
      const StepInputs<Step> inputs = {a.x, steps + first};
      AddCellsToSums<kRows>(inputs, w.CellsOfLine(row), weights + first * kRows, kRows, sums.value);
    }
    if (row >= a.row_begin) out[row] = ClampOne(sums.Row(row % kRows), a.low, a.high);
    sums.SetRow(row % kRows, row + kRows < w.out_channels ? BiasOf(a, row + kRows) : 0.0f);
  }
}

// Groups of 4, 8 or 16 rows and one column.
template <typename Weight, typename Step>
inline void SlidingPixelSteps(const TileArgs& a, const Weight* weights, const Step* steps) {
  const uint32_t rows = a.weights->group_rows;
  if (rows == 16) return SlidingPixelRows<16>(a, weights, steps);
  if (rows == 8) return SlidingPixelRows<8>(a, weights, steps);
  SlidingPixelRows<4>(a, weights, steps);
}

template <typename Weight>
inline void SlidingPixelOf(const TileArgs& a, const Weight* weights) {
  if (a.weights->steps8 != nullptr) return SlidingPixelSteps(a, weights, a.weights->steps8);
  SlidingPixelSteps(a, weights, a.weights->steps16);
}

inline void SlidingPixel(const TileArgs& a) {
  const PackedWeights& w = *a.weights;
  if constexpr (kHalfRows > 0) {
    if (ReadsHalvesOfPixel(w, kHalfRows)) return SlidingPixelOf(a, w.halves);
  }
  if (!HasSlidingPixelRows(w)) return SlidingPixelAnyRows(a);
  SlidingPixelOf(a, w.values);
}
