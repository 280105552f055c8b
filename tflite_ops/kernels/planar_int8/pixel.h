// SPDX-License-Identifier: Apache-2.0
// Int8 weights times one pixel, templated over one instruction set `S`; generic.h says what it provides.
//
// No include guard on purpose: generic.h includes it once, inside the namespace of an ISA file.

// The four inputs of an operand from one pixel's bytes, for matrix times one pixel. Groups of whole operands lie side
// by side; otherwise the columns are collected one by one.
template <typename Step>
struct PixelCells {
  const uint8_t* x;
  const Step* steps;
  uint32_t cols, column = 0, left = 0;

  inline __attribute__((always_inline)) uint8_t Next() {
    if (left == 0) {
      column += *steps++;
      left = cols;
    }
    return x[column + cols - left--];
  }
  inline __attribute__((always_inline)) uint32_t NextFour() {
    uint32_t four;
    if (cols == kDotCells) {
      column += *steps++;
      memcpy(&four, x + column, 4);
      return four;
    }
    if (cols == 1) {
      const uint32_t a = column + steps[0], b = a + steps[1], c = b + steps[2];
      column = c + steps[3];
      steps += 4;
      return x[a] | x[b] << 8 | x[c] << 16 | static_cast<uint32_t>(x[column]) << 24;
    }
    four = Next();
    four |= Next() << 8;
    four |= Next() << 16;
    return four | static_cast<uint32_t>(Next()) << 24;
  }
  // The last operand of a line, `count` cells of which exist; weights of the others are zero.
  uint32_t NextFew(uint32_t count) {
    uint32_t four = 0;
    for (uint32_t i = 0; i < count; ++i) four |= static_cast<uint32_t>(Next()) << (8 * i);
    return four;
  }
};

// Sums are 32 bits wide and may wrap on the way to a last value that fits.
inline void AddWrapping(int32_t* sum, int32_t value) {
  *sum = static_cast<int32_t>(static_cast<uint32_t>(*sum) + static_cast<uint32_t>(value));
}

// Bytes: how far ahead of their use weights are asked for, which is what a stream of them from memory waits on.
constexpr size_t kPixelPrefetch = 2048;

// Adds `kSums` vectors of lanes, lane l of all that lie side by side belonging to row l % kRows, to the sums of rows.
template <typename S, int kRows, int kSums>
inline __attribute__((always_inline)) void AddLanes(const typename S::Sum* sum, int32_t* sums) {
  constexpr int kParts = kRows < S::kLanes ? 1 : kRows / S::kLanes;
  using Vector = typename WordVector<S::kLanes>::Type;
  Vector total[kParts] = {};
#pragma GCC unroll 8
  for (int i = 0; i < kSums; ++i) {
    int32_t lanes[S::kLanes];
    S::StoreTotal(lanes, sum[i]);
    Vector vector;
    memcpy(&vector, lanes, sizeof(vector));
    total[i % kParts] += vector;
  }
#pragma GCC unroll 16
  for (int row = 0; row < kRows; ++row) {
    uint32_t of_row = static_cast<uint32_t>(sums[row]);
#pragma GCC unroll 16
    for (int lane = row % S::kLanes; lane < S::kLanes; lane += kRows) of_row += total[row / S::kLanes][lane];
    sums[row] = static_cast<int32_t>(of_row);
  }
}

// kRows rows of every operand of a line at `weights`; several operands share a vector where rows are few.
template <typename S, int kRows, typename Cells>
inline __attribute__((always_inline)) void Int8PixelRows(Cells cells, size_t count, const int8_t* weights,
                                                         size_t stride, int32_t* sums) {
  constexpr int kWidth = kRows < S::kLanes ? kRows : S::kLanes, kParts = kRows / kWidth;
  constexpr size_t kTogether = kWidth < S::kLanes ? S::kLanes / kWidth : 1;
  constexpr size_t kSide = kParts <= 2 ? 4 : 2;  // sums side by side hide the latency of an addition
  typename S::Sum sum[kSide][kParts];
#pragma GCC unroll 4
  for (size_t u = 0; u < kSide; ++u) {
#pragma GCC unroll 16
    for (int part = 0; part < kParts; ++part) sum[u][part] = S::Start(0);
  }
  const size_t full = count / kDotCells, few = count % kDotCells;
  size_t i = 0;
  if (kTogether == 1 || stride == kRows * kDotCells) {
    for (; i + kSide * kTogether <= full; i += kSide * kTogether, weights += kSide * kTogether * stride) {
#pragma GCC unroll 4
      for (size_t u = 0; u < kSide; ++u) {
        uint32_t x[kTogether];
#pragma GCC unroll 16
        for (size_t t = 0; t < kTogether; ++t) x[t] = cells.NextFour();
        const typename S::Bytes inputs = S::Flip(S::template Spread<kWidth>(x));
        const uint8_t* from = reinterpret_cast<const uint8_t*>(weights) + u * kTogether * stride;
        __builtin_prefetch(from + kPixelPrefetch);
#pragma GCC unroll 16
        for (int part = 0; part < kParts; ++part) {
          sum[u][part] = S::DotColumn(sum[u][part], inputs, S::LoadBytes(from + 4 * part * S::kLanes));
        }
      }
    }
  }
  // The last operands; weights of operands and of cells that are missing are zero.
  while (i * kDotCells < count) {
    constexpr size_t kOperandBytes = kRows * kDotCells;
    uint32_t x[kTogether] = {};
    uint8_t few_weights[kTogether * kOperandBytes];
    const uint8_t* from = reinterpret_cast<const uint8_t*>(weights);
    if constexpr (kTogether == 1) {
      x[0] = i < full ? cells.NextFour() : cells.NextFew(static_cast<uint32_t>(few));
      ++i, weights += stride;
    } else {
      const bool in_place = i + kTogether <= full && stride == kOperandBytes;
      if (!in_place) memset(few_weights, 0, sizeof(few_weights));
      for (size_t t = 0; t < kTogether && i * kDotCells < count; ++t, ++i, weights += stride) {
        x[t] = i < full ? cells.NextFour() : cells.NextFew(static_cast<uint32_t>(few));
        if (!in_place) memcpy(few_weights + t * kOperandBytes, weights, kOperandBytes);
      }
      if (!in_place) from = few_weights;
    }
    const typename S::Bytes inputs = S::Flip(S::template Spread<kWidth>(x));
#pragma GCC unroll 16
    for (int part = 0; part < kParts; ++part) {
      sum[0][part] = S::DotColumn(sum[0][part], inputs, S::LoadBytes(from + 4 * part * S::kLanes));
    }
  }
  AddLanes<S, kRows, kSide * kParts>(&sum[0][0], sums);
}

// All rows of a line at `weights`.
template <typename S, typename Cells>
void Int8PixelCells(Cells cells, size_t count, size_t rows, const int8_t* weights, int32_t* sums) {
  const size_t stride = rows * kDotCells;
  size_t r = 0;
  for (; r + 16 <= rows; r += 16) Int8PixelRows<S, 16>(cells, count, weights + 4 * r, stride, sums + r);
  if (rows - r >= 8) Int8PixelRows<S, 8>(cells, count, weights + 4 * r, stride, sums + r), r += 8;
  if (rows - r >= 4) Int8PixelRows<S, 4>(cells, count, weights + 4 * r, stride, sums + r), r += 4;
  if (rows - r >= 2) Int8PixelRows<S, 2>(cells, count, weights + 4 * r, stride, sums + r), r += 2;
  if (rows - r >= 1) Int8PixelRows<S, 1>(cells, count, weights + 4 * r, stride, sums + r);
}

template <typename S>
void Int8PixelLine(const PackedWeights& w, uint32_t line, const uint8_t* x, size_t rows, const int8_t* weights,
                   int32_t* sums) {
  const size_t first = w.FirstGroup(line), count = w.CellsOfLine(line);
  if (w.steps8 != nullptr) {
    return Int8PixelCells<S>(PixelCells<uint8_t>{x, w.steps8 + first, w.group_cols}, count, rows, weights, sums);
  }
  Int8PixelCells<S>(PixelCells<uint16_t>{x, w.steps16 + first, w.group_cols}, count, rows, weights, sums);
}

// Sliding-row weights times one pixel. Row q waits in ring[q % group_rows] until its last line; a part begins with the
// lines before its first row that reach it.
template <typename S>
void Int8SlidingPixel(const PackedWeights& w, uint32_t row_begin, uint32_t row_end, const uint8_t* x, int32_t* sums) {
  const uint32_t rows = w.group_rows;
  const uint32_t first_line = row_begin >= rows - 1 ? row_begin - (rows - 1) : 0;
  int32_t ring[kMaxSlidingRows] = {};
  size_t value = 0;
  for (uint32_t line = 0; line < first_line && line < w.line_count; ++line) value += w.DotCellsOfLine(line) * rows;
  for (uint32_t row = first_line; row < row_end; ++row) {
    if (row < w.line_count) {
      Int8PixelLine<S>(w, row, x, rows, w.bytes + value, ring);
      value += w.DotCellsOfLine(row) * rows;
    }
    if (row >= row_begin) AddWrapping(sums + row, ring[row % rows]);
    ring[row % rows] = 0;
  }
}

// Row-band weights times one pixel: sums[r] += products for rows [row_begin, row_end). Reads weights and steps
// in place, once.
template <typename S>
void Int8RowBandPixel(const PackedWeights& w, uint32_t row_begin, uint32_t row_end, const uint8_t* x, int32_t* sums) {
  const uint32_t first_line = row_begin / w.group_rows;
  size_t value = 0;
  for (uint32_t line = 0; line < first_line; ++line) value += w.DotCellsOfLine(line) * w.group_rows;
  for (uint32_t line = first_line; line < w.line_count && w.FirstRow(line) < row_end; ++line) {
    const size_t rows = w.RowsOfLine(line);
    Int8PixelLine<S>(w, line, x, rows, w.bytes + value, sums + w.FirstRow(line));
    value += w.DotCellsOfLine(line) * rows;
  }
}
