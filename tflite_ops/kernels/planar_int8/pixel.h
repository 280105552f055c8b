// SPDX-License-Identifier: Apache-2.0
// Int8 weights times one pixel, templated over one instruction set `S`; generic.h says what it provides. First the
// inputs of a line's cells are collected side by side, then operands are multiplied, both read from front to back.
//
// No include guard on purpose: generic.h includes it once, inside the namespace of an ISA file.

// Collects window by window: a table look-up takes 32 inputs at once, wherever they are.
template <typename S>
inline __attribute__((always_inline)) uint8_t* CollectWindows(const Int8PixelArgs& a, uint32_t line, uint8_t* to) {
  const size_t windows = a.windows;  // a copy: stores of bytes might change what lies in memory
  const uint8_t* counts = a.counts + line * windows;
  const uint8_t* const end = counts + windows;
  const uint8_t* places = a.places + a.weights->FirstGroup(line);
  const uint8_t* x = a.x;
  for (; counts != end; ++counts) S::Pick(&x, &places, *counts, &to);
  return to;
}

// Collects group by group. Four bytes are stored as a word: a vector can be loaded sooner from few stores.
template <typename Step>
inline __attribute__((always_inline)) uint8_t* CollectGroups(const uint8_t* x, const Step* steps, size_t groups,
                                                             size_t cols, uint8_t* to) {
  const Step* const end = steps + groups;
  if (cols == 1) {
    for (; end - steps >= kDotCells; steps += kDotCells, to += kDotCells) {
      uint32_t four = 0;
#pragma GCC unroll 4
      for (uint32_t i = 0; i < kDotCells; ++i) {
        x += steps[i];
        four |= static_cast<uint32_t>(*x) << (8 * i);
      }
      memcpy(to, &four, sizeof(four));
    }
    for (; steps != end; ++steps, ++to) {
      x += *steps;
      *to = *x;
    }
  } else if (cols == kDotCells) {
#pragma GCC unroll 4
    for (; steps != end; ++steps, to += kDotCells) {
      x += *steps;
      memcpy(to, x, kDotCells);
    }
  } else {
    for (; steps != end; ++steps) {
      x += *steps;
      for (size_t c = 0; c < cols; ++c) *to++ = x[c];
    }
  }
  return to;
}

// The inputs of the cells of a line to `to`, and a vector of zeros behind them.
template <typename S>
__attribute__((noinline)) void CollectInputs(const Int8PixelArgs& a, uint32_t line, uint8_t* to) {
  const PackedWeights& w = *a.weights;
  if (a.windows > 0) {
    to = CollectWindows<S>(a, line, to);
  } else {
    const size_t first = w.FirstGroup(line), groups = w.line_ends[line] - first;
    to = w.steps8 != nullptr ? CollectGroups(a.x, w.steps8 + first, groups, w.group_cols, to)
                             : CollectGroups(a.x, w.steps16 + first, groups, w.group_cols, to);
  }
  memset(to, 0, S::kLanes * kDotCells);
}

// Sums are 32 bits wide and may wrap on the way to a last value that fits.
inline void AddWrapping(int32_t* sum, int32_t value) {
  *sum = static_cast<int32_t>(static_cast<uint32_t>(*sum) + static_cast<uint32_t>(value));
}

// Adds lane l of `lanes`, in words that may wrap, to the sum of row l % kRows.
template <int kRows, int kLanes>
inline __attribute__((always_inline)) void AddLanes(typename WordVector<kLanes>::Type lanes, int32_t* sums) {
  if constexpr (kRows == kLanes) {
    typename WordVector<kLanes>::Type before;
    memcpy(&before, sums, sizeof(before));
    before += lanes;
    memcpy(sums, &before, sizeof(before));
  } else if constexpr (kLanes > 4) {
    typename WordVector<kLanes / 2>::Type half[2];
    memcpy(half, &lanes, sizeof(half));
    AddLanes<kRows, kLanes / 2>(half[0] + half[1], sums);
  } else {
#pragma GCC unroll 4
    for (int lane = 0; lane < kLanes; ++lane) AddWrapping(sums + lane % kRows, static_cast<int32_t>(lanes[lane]));
  }
}

// Bytes: how far ahead of their use weights are asked for, which is what a stream of them from memory waits on.
constexpr size_t kPixelPrefetch = 2048;
constexpr size_t kCacheLine = 64;

// The sums of kRows rows; several operands share a vector where rows are few.
template <typename S, int kRows>
struct PixelSums {
  static constexpr int kWidth = kRows < S::kLanes ? kRows : S::kLanes, kParts = kRows / kWidth;
  static constexpr size_t kTogether = S::kLanes / kWidth;  // operands of a vector
  static constexpr int kSide = kParts <= 2 ? 4 : 2;        // sums side by side hide the latency of an addition
  static constexpr size_t kVectorBytes = S::kLanes * kDotCells;
  typename S::Sum value[kSide][kParts];

  inline __attribute__((always_inline)) PixelSums() {
#pragma GCC unroll 4
    for (int u = 0; u < kSide; ++u) {
#pragma GCC unroll 16
      for (int part = 0; part < kParts; ++part) value[u][part] = S::Start(0);
    }
  }

  // Vector kIndex of those that begin at `inputs`, with its weights.
  template <int kIndex>
  inline __attribute__((always_inline)) void Add(const uint8_t* inputs, const typename S::Bytes* weights) {
#pragma GCC unroll 16
    for (int part = 0; part < kParts; ++part)
      value[kIndex][part] = S::template DotPixel<kWidth, kIndex>(value[kIndex][part], inputs, weights[part]);
  }

  inline __attribute__((always_inline)) void AddOne(const uint8_t* inputs, const uint8_t* weights) {
    typename S::Bytes vectors[kParts];
    S::template LoadQuads<kParts>(weights, vectors);
    Add<0>(inputs, vectors);
  }

  // kSide vectors, whose weights are `stride` bytes apart.
  template <bool kWhole, int... kIndex>
  inline __attribute__((always_inline)) void AddSide(const uint8_t* inputs, const uint8_t* weights, size_t stride,
                                                     std::integer_sequence<int, kIndex...>) {
    typename S::Bytes vectors[kSide][kParts];
    if constexpr (kWhole) {
      S::template LoadQuads<kSide * kParts>(weights, vectors[0]);
    } else {
      (S::template LoadQuads<kParts>(weights + kIndex * stride, vectors[kIndex]), ...);
    }
#pragma GCC unroll 4
    for (size_t line = 0; line < kSide * kParts * kVectorBytes; line += kCacheLine)
      __builtin_prefetch(weights + line + kPixelPrefetch);
    (Add<kIndex>(inputs, vectors[kIndex]), ...);
  }

  inline __attribute__((always_inline)) void AddTo(int32_t* sums) const {
#pragma GCC unroll 16
    for (int part = 0; part < kParts; ++part) {
      typename WordVector<S::kLanes>::Type total = {};
#pragma GCC unroll 4
      for (int u = 0; u < kSide; ++u) {
        typename WordVector<S::kLanes>::Type lanes;
        const typename S::Vector vector = S::Total(value[u][part]);
        memcpy(&lanes, &vector, sizeof(lanes));
        total += lanes;
      }
      AddLanes<kWidth, S::kLanes>(total, sums + part * kWidth);
    }
  }
};

// kRows rows of every operand of a line, `weights` at the first, `stride` bytes from one operand to the next; nothing
// from `end` on is read. kWhole: these are all rows of the line.
template <typename S, int kRows, bool kWhole>
__attribute__((noinline)) void Int8PixelRows(const uint8_t* inputs, size_t operands, const uint8_t* weights,
                                             size_t stride, const uint8_t* end, int32_t* sums) {
  using Sums = PixelSums<S, kRows>;
  constexpr size_t kTogether = Sums::kTogether, kSide = Sums::kSide, kOperandBytes = kRows * kDotCells;
  if constexpr (kWhole) stride = kOperandBytes;
  Sums sum;
  if constexpr (kWhole || kTogether == 1) {
    for (size_t rounds = operands / (kSide * kTogether); rounds > 0; --rounds) {
      sum.template AddSide<kWhole>(inputs, weights, stride, std::make_integer_sequence<int, Sums::kSide>());
      inputs += kSide * kTogether * kDotCells;
      weights += kSide * kTogether * stride;
    }
    operands %= kSide * kTogether;
    if constexpr (kTogether == 1) {
      // Fewer than kSide, unrolled: a loop would be half of their instructions.
#pragma GCC unroll 4
      for (size_t i = 0; i + 1 < kSide; ++i) {
        if (i == operands) break;
        sum.AddOne(inputs + i * kDotCells, weights + i * stride);
      }
    } else {
      // What a last vector holds of the next line meets inputs of zero.
      for (; operands > 0 && weights + Sums::kVectorBytes <= end; weights += kTogether * stride) {
        sum.AddOne(inputs, weights);
        inputs += kTogether * kDotCells;
        operands -= operands < kTogether ? operands : kTogether;
      }
    }
  }
  while (kTogether > 1 && operands > 0) {
    uint8_t few[kTogether * kOperandBytes] = {};
    for (size_t t = 0; t < kTogether && operands > 0; ++t, --operands, weights += stride)
      memcpy(few + t * kOperandBytes, weights, kOperandBytes);
    sum.AddOne(inputs, few);
    inputs += kTogether * kDotCells;
  }
  sum.AddTo(sums);
}

// The lines of a call one after the other. The inputs of a line are collected before the line ahead of it is
// multiplied: stores of single bytes must have reached the cache before a vector of them can be loaded.
template <typename S>
class PixelLines {
 public:
  inline __attribute__((always_inline)) PixelLines(const Int8PixelArgs& args, uint32_t first, uint32_t end)
      : a_(args), w_(*args.weights), line_(first), end_(end), weights_(reinterpret_cast<const uint8_t*>(w_.bytes)) {
    for (uint32_t line = 0; line < first; ++line) weights_ += w_.DotCellsOfLine(line) * w_.RowsOfLine(line);
    if (first < end) CollectInputs<S>(a_, first, Inputs());
  }

  // Adds the products of the next line to the sums of its rows.
  inline __attribute__((always_inline)) void Next(int32_t* sums) {
    const uint8_t* inputs = Inputs();
    const size_t cells = w_.DotCellsOfLine(line_), rows = w_.RowsOfLine(line_);
    if (++line_ < end_) CollectInputs<S>(a_, line_, Inputs());
    AddRows(inputs, cells / kDotCells, rows, sums);
    weights_ += cells * rows;
  }

 private:
  uint8_t* Inputs() const { return a_.inputs + (line_ % 2) * a_.inputs_stride; }

  template <int kRows>
  inline __attribute__((always_inline)) void Add(const uint8_t* inputs, size_t operands, size_t row, size_t rows,
                                                 int32_t* sums) const {
    const uint8_t* const end = reinterpret_cast<const uint8_t*>(w_.bytes) + a_.weight_bytes;
    const auto run = rows == kRows ? Int8PixelRows<S, kRows, true> : Int8PixelRows<S, kRows, false>;
    run(inputs, operands, weights_ + kDotCells * row, kDotCells * rows, end, sums + row);
  }

  inline __attribute__((always_inline)) void AddRows(const uint8_t* inputs, size_t operands, size_t rows,
                                                     int32_t* sums) const {
    size_t r = 0;
    for (; r + 16 <= rows; r += 16) Add<16>(inputs, operands, r, rows, sums);
    if (rows - r >= 8) Add<8>(inputs, operands, r, rows, sums), r += 8;
    if (rows - r >= 4) Add<4>(inputs, operands, r, rows, sums), r += 4;
    if (rows - r >= 2) Add<2>(inputs, operands, r, rows, sums), r += 2;
    if (rows - r >= 1) Add<1>(inputs, operands, r, rows, sums);
  }

  const Int8PixelArgs& a_;
  const PackedWeights& w_;
  uint32_t line_;
  const uint32_t end_;
  const uint8_t* weights_;
};

// Sliding-row weights times one pixel. Row q waits in ring[q % group_rows] until its last line; a part begins with the
// lines before its first row that reach it.
template <typename S>
void Int8SlidingPixel(const Int8PixelArgs& a) {
  const PackedWeights& w = *a.weights;
  const uint32_t rows = w.group_rows;
  const uint32_t first_line = a.row_begin >= rows - 1 ? a.row_begin - (rows - 1) : 0;
  const uint32_t end_line = a.row_end < w.line_count ? a.row_end : w.line_count;
  int32_t ring[kMaxSlidingRows] = {};
  PixelLines<S> lines(a, first_line, end_line);
  uint32_t slot = first_line % rows;
  for (uint32_t row = first_line; row < a.row_end; ++row) {
    if (row < end_line) lines.Next(ring);
    if (row >= a.row_begin) AddWrapping(a.sums + row, ring[slot]);
    ring[slot] = 0;
    slot = slot + 1 == rows ? 0 : slot + 1;
  }
}

// Row-band weights times one pixel.
template <typename S>
void Int8RowBandPixel(const Int8PixelArgs& a) {
  const uint32_t rows = a.weights->group_rows;
  PixelLines<S> lines(a, a.row_begin / rows, (a.row_end + rows - 1) / rows);
  for (uint32_t row = a.row_begin; row < a.row_end; row += rows) lines.Next(a.sums + row);
}
