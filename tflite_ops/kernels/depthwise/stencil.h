// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution with a square kernel and stride 1 or 2, straight from the input's rows.
//
// A tile is kRows output rows of one vector. Kernel column by kernel column, every input row's shifted vector is loaded
// once and multiply-added to all the output rows that it belongs to: (kRows + 2) * 3 loads for kRows * 9 multiply-adds
// of a 3x3 kernel. Rows outside the image are read from a row of zeros; columns outside it are masked out of the loads
// of the first and the last columns of tiles, so that nothing is copied. Columns go from right to left and rows from
// top to bottom: what a store writes behind the end of its row is overwritten by the row's owner.
//
// No include guard on purpose: an ISA file includes it once, in its own namespace.

// How one load of an input row is done: a vector, or the even and odd columns of two.
template <typename S, int kStride>
struct StencilLoad {
  typename S::Mask mask;
  void SetMask(int begin, int end) { mask = S::MakeMask(begin, end); }
};

template <typename S>
struct StencilLoad<S, 2> {
  typename S::PairMask mask;
  void SetMask(int begin, int end) { mask = S::MakePairMask(begin, end); }
};

// The masks of one column of tiles, one for each load of an input row.
template <typename S, int kKernel, int kStride>
struct StencilMasks {
  static constexpr int kLoads = (kKernel + kStride - 1) / kStride;
  StencilLoad<S, kStride> load[kLoads];

  // `offset`: the input column that lane 0 of the first load sees.
  void Set(int offset, int in_width) {
    for (int i = 0; i < kLoads; ++i) load[i].SetMask(-offset - i * kStride, in_width - offset - i * kStride);
  }
};

template <typename S, int kKernel, int kStride, int kRows>
struct StencilTile {
  using V = typename S::Vector;
  using Masks = StencilMasks<S, kKernel, kStride>;
  using Weights = typename S::template Weights<kKernel * kKernel>;
  static constexpr int kInputRows = (kRows - 1) * kStride + kKernel;

  // Adds input row kRow, seen by kernel column kColumn, to every output row of the tile that it belongs to.
  template <int kRow, int kColumn, int kKernelRow = 0>
  static TFPRUNE_INLINE void AddToRows(V (&acc)[kRows], V x, const Weights& weights) {
    if constexpr (kKernelRow < kKernel) {
      constexpr int kFrom = kRow - kKernelRow;
      if constexpr (kFrom >= 0 && kFrom % kStride == 0 && kFrom / kStride < kRows) {
        V& sum = acc[kFrom / kStride];
        sum = weights.template MultiplyAdd<kKernelRow * kKernel + kColumn>(sum, x);
      }
      AddToRows<kRow, kColumn, kKernelRow + 1>(acc, x, weights);
    }
  }

  template <bool kMasked, int kLoad, int kRow = 0>
  static TFPRUNE_INLINE void AddLoad(V (&acc)[kRows], const float* const* rows, ptrdiff_t offset, const Masks& masks,
                                     const Weights& weights) {
    if constexpr (kRow < kInputRows) {
      constexpr int kColumn = kLoad * kStride;
      const float* from = rows[kRow] + offset + kColumn;
      if constexpr (kStride == 1) {
        const V x = kMasked ? S::LoadMasked(from, masks.load[kLoad].mask) : S::Load(from);
        AddToRows<kRow, kColumn>(acc, x, weights);
      } else if constexpr (kColumn + 1 < kKernel) {
        const typename S::Pair x = kMasked ? S::LoadPairMasked(from, masks.load[kLoad].mask) : S::LoadPair(from);
        AddToRows<kRow, kColumn>(acc, x.even, weights);
        AddToRows<kRow, kColumn + 1>(acc, x.odd, weights);
      } else {
        const V x = kMasked ? S::LoadEvenMasked(from, masks.load[kLoad].mask) : S::LoadEven(from);
        AddToRows<kRow, kColumn>(acc, x, weights);
      }
      AddLoad<kMasked, kLoad, kRow + 1>(acc, rows, offset, masks, weights);
    }
  }

  template <bool kMasked, int kLoad = 0>
  static TFPRUNE_INLINE void AddLoads(V (&acc)[kRows], const float* const* rows, ptrdiff_t offset, const Masks& masks,
                                      const Weights& weights) {
    if constexpr (kLoad < Masks::kLoads) {
      AddLoad<kMasked, kLoad>(acc, rows, offset, masks, weights);
      AddLoads<kMasked, kLoad + 1>(acc, rows, offset, masks, weights);
    }
  }

  // The tile whose first load of input row i starts at rows[i] + offset.
  template <bool kMasked>
  static TFPRUNE_INLINE void Run(const float* const* rows, ptrdiff_t offset, const Masks& masks, const Weights& weights,
                                 float bias, V low, V high, float* out, size_t out_width) {
    V acc[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) acc[r] = S::Set(bias);
    AddLoads<kMasked>(acc, rows, offset, masks, weights);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const V y = S::Clamp(acc[r], low, high);
      if constexpr (kStride == 1) {
        S::Store(out + static_cast<size_t>(r) * out_width, y);
      } else {
        S::StorePairOrder(out + static_cast<size_t>(r) * out_width, y);
      }
    }
  }
};

template <typename S, int kKernel, int kStride>
class Stencil {
 public:
  Stencil(const DepthwiseShape& shape, const DepthwiseArgs& args)
      : s_(shape),
        a_(args),
        columns_((shape.out_width + S::kLanes - 1) / S::kLanes),
        low_(S::Set(args.low)),
        high_(S::Set(args.high)) {
    for (uint32_t i = 0; i <= kRightEdge; ++i) {
      edge_[i].Set(OffsetOf(i == 0 || i > columns_ ? 0 : columns_ - i), static_cast<int>(shape.in_width));
    }
    zeros_ = kZeros + kDepthwiseReach;
    if (size_t{s_.in_width} + 2 * kDepthwiseReach > kZeroCount) {
      memset(a_.scratch, 0, (s_.in_width + 2 * kDepthwiseReach) * sizeof(float));
      zeros_ = a_.scratch + kDepthwiseReach;
    }
  }

  void Run() {
    for (uint32_t c = 0; c < a_.channels; ++c) {
      in_ = a_.in + c * a_.in_stride;
      out_ = a_.out + c * a_.out_stride;
      bias_ = a_.bias == nullptr ? 0.0f : a_.bias[c];
      weights_.Read(a_.weights + size_t{c} * kKernel * kKernel);
      RunRows();
    }
  }

 private:
  static constexpr uint32_t kRightEdge = 2;  // columns of tiles at the right that may see the padding

  int OffsetOf(uint32_t column) const {
    return static_cast<int>(column * S::kLanes * kStride) - static_cast<int>(s_.pad_left);
  }

  void RunRows() {
    constexpr uint32_t kMost = kStride == 1 ? 7 : 4;
    uint32_t row = 0;
    for (; a_.out_count - row >= kMost && a_.out_count - row != 8; row += kMost) RunTiles<kMost>(row);
    for (; a_.out_count - row >= 4; row += 4) RunTiles<4>(row);
    if (a_.out_count - row >= 2) RunTiles<2>(row), row += 2;
    if (a_.out_count - row >= 1) RunTiles<1>(row);
  }

  const float* InputRow(int64_t row) const {
    if (row < 0 || row >= s_.in_height) return zeros_;
    return in_ + static_cast<size_t>(row - a_.in_first) * s_.in_width;
  }

  // The kRows output rows from out_first + row on, column by column.
  template <int kRows>
  void RunTiles(uint32_t row) {
    using Tile = StencilTile<S, kKernel, kStride, kRows>;
    const float* rows[Tile::kInputRows];
    const int64_t first = int64_t{a_.out_first + row} * kStride - s_.pad_top;
#pragma GCC unroll 16
    for (int i = 0; i < Tile::kInputRows; ++i) rows[i] = InputRow(first + i);
    float* out = out_ + size_t{row} * s_.out_width;
    for (uint32_t column = columns_; column-- > 0;) {
      const bool right = columns_ - column <= kRightEdge;
      float* to = out + column * S::kLanes;
      if (column == 0 || right) {
        Tile::template Run<true>(rows, OffsetOf(column), edge_[right ? columns_ - column : 0], weights_, bias_, low_,
                                 high_, to, s_.out_width);
      } else {
        Tile::template Run<false>(rows, OffsetOf(column), edge_[0], weights_, bias_, low_, high_, to, s_.out_width);
      }
    }
  }

  const DepthwiseShape& s_;
  const DepthwiseArgs& a_;
  const uint32_t columns_;
  const typename S::Vector low_, high_;
  StencilMasks<S, kKernel, kStride> edge_[kRightEdge + 1];  // of the first column, the last, and the last but one
  const float* zeros_;
  const float* in_;
  float* out_;
  float bias_;
  typename S::template Weights<kKernel * kKernel> weights_;
};

template <typename S, int kKernel, int kStride>
void RunStencil(const DepthwiseShape& shape, const DepthwiseArgs& args) {
  Stencil<S, kKernel, kStride>(shape, args).Run();
}
