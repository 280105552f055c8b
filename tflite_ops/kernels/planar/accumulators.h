// SPDX-License-Identifier: Apache-2.0
// The sums of a tile, in registers. A part of generic.h, which includes it.

template <typename S, int kRows, int kVectors>
struct Accumulators {
  using V = typename S::Vector;
  static constexpr int kTile = kVectors * S::kLanes;
  V value[kRows][kVectors];

  inline __attribute__((always_inline)) void SetRow(int row, float start) {
#pragma GCC unroll 8
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
    if constexpr (S::kLoadsInPairs && kRows >= 4) return AddPairsOfCells(x, offsets, count, weights, stride);
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
