// SPDX-License-Identifier: Apache-2.0
// Weights times a single position, templated over one instruction set `S`; generic.h says what it provides. Rows lie
// across the vector, or several pairs where rows are few.
//
// No include guard on purpose: generic.h includes it once, inside the namespace of an ISA file.

// The two inputs of pair `k` in one word.
inline __attribute__((always_inline)) uint32_t PairAt(const Int16SumArgs& a, size_t k) {
  uint16_t first, second;
  memcpy(&first, a.x + a.offsets[kPairCells * k], sizeof(first));
  memcpy(&second, a.x + a.offsets[kPairCells * k + 1], sizeof(second));
  return first | static_cast<uint32_t>(second) << 16;
}

inline __attribute__((always_inline)) int32_t MultiplyPair(const Int16SumArgs& a, size_t k, uint32_t row) {
  const uint32_t pair = PairAt(a, k);
  const int16_t* w = a.weights + k * a.stride + size_t{row} * kPairCells;
  return w[0] * static_cast<int16_t>(pair & 0xffff) + w[1] * static_cast<int16_t>(pair >> 16);
}

// 4 * kFours rows from `row` on.
template <typename S, int kFours>
inline __attribute__((always_inline)) void AddPixelRows(const Int16SumArgs& a, uint32_t row) {
  typename S::Four sum[kFours];
#pragma GCC unroll 4
  for (int f = 0; f < kFours; ++f) sum[f] = S::ZeroFour();
  const int16_t* weights = a.weights + size_t{row} * kPairCells;
  for (size_t k = 0; k < a.pairs; ++k, weights += a.stride) {
    const typename S::Inputs inputs = S::Spread(PairAt(a, k));
#pragma GCC unroll 4
    for (int f = 0; f < kFours; ++f) sum[f] = S::MultiplyFour(sum[f], weights + 8 * f, inputs);
  }
#pragma GCC unroll 4
  for (int f = 0; f < kFours; ++f) {
    int32_t four[4];
    S::StoreFour(four, sum[f]);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) a.sums[row + 4 * f + i] += four[i];
  }
}

// A line of one or two rows: kRows rows of 4 / kRows pairs fill a vector.
template <typename S, uint32_t kRows>
inline __attribute__((always_inline)) void AddPixelLine(const Int16SumArgs& a) {
  constexpr size_t kPairs = 4 / kRows;
  typename S::Four even = S::ZeroFour(), odd = even;
  size_t k = 0;
  const auto inputs = [&](size_t at) {
    if constexpr (kRows == 1) return S::Gather(PairAt(a, at), PairAt(a, at + 1), PairAt(a, at + 2), PairAt(a, at + 3));
    return S::Gather(PairAt(a, at), PairAt(a, at), PairAt(a, at + 1), PairAt(a, at + 1));
  };
  for (; k + 2 * kPairs <= a.pairs; k += 2 * kPairs) {
    even = S::MultiplyFour(even, a.weights + k * a.stride, inputs(k));
    odd = S::MultiplyFour(odd, a.weights + (k + kPairs) * a.stride, inputs(k + kPairs));
  }
  int32_t four[8];
  S::StoreFour(four, even);
  S::StoreFour(four + 4, odd);
#pragma GCC unroll 8
  for (uint32_t i = 0; i < 8; ++i) a.sums[i % kRows] += four[i];
  for (; k < a.pairs; ++k) {
    for (uint32_t row = 0; row < kRows; ++row) a.sums[row] += MultiplyPair(a, k, row);
  }
}

template <typename S>
void AddPixel(const Int16SumArgs& a) {
  if (a.rows == 1 && a.stride == 1 * kPairCells) return AddPixelLine<S, 1>(a);
  if (a.rows == 2 && a.stride == 2 * kPairCells) return AddPixelLine<S, 2>(a);
  uint32_t row = 0;
  for (; row + 16 <= a.rows; row += 16) AddPixelRows<S, 4>(a, row);
  if (a.rows - row >= 8) AddPixelRows<S, 2>(a, row), row += 8;
  if (a.rows - row >= 4) AddPixelRows<S, 1>(a, row), row += 4;
  for (; row < a.rows; ++row) {
    int32_t sum = 0;
    for (size_t k = 0; k < a.pairs; ++k) sum += MultiplyPair(a, k, row);
    a.sums[row] += sum;
  }
}
