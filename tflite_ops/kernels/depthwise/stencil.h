// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution with a square kernel and stride 1 or 2, straight from the input's rows.
//
// A tile is kRows output rows of one vector. Every input row's shifted vectors are loaded once and multiply-added to
// all the output rows that they belong to: (kRows + 2) * 3 loads for kRows * 9 multiply-adds of a 3x3 kernel. Rows
// outside the image are left out; columns outside it are masked out of the loads of the first and the last columns of
// tiles, so that nothing is copied. Columns go from right to left and rows from top to bottom: what a store writes
// behind the end of its row is overwritten by the row's owner.
//
// No include guard on purpose: an ISA file includes it once, in its own namespace.

// The columns that the taps of one kernel row see: kCount of them from tap kFirst on.
template <typename S, int kKernel, int kStride>
struct Taps {
  using V = typename S::Vector;
  // Taps whose weights stay in registers while the rows go by: all, or one at a time where registers are few.
  static constexpr int kAtOnce = S::kRegisters < 32 ? 1 : kKernel;

  struct Mask {
    typename S::Mask of[kKernel];
    void Set(int begin, int end) {
      for (int i = 0; i < kKernel; ++i) of[i] = S::MakeMask(begin - i, end - i);
    }
  };

  template <bool kMasked, int kFirst>
  static TFPRUNE_INLINE void Load(const float* p, const Mask& mask, V (&x)[kAtOnce]) {
#pragma GCC unroll 8
    for (int i = 0; i < kAtOnce; ++i) {
      const float* from = p + kFirst + i;
      // The middle tap of an output always sees the image; masks that cost nothing are applied all the same.
      const bool masked = kMasked && (S::kSparesMaskedMemory || kFirst + i != kKernel / 2);
      x[i] = S::InRegister(masked ? S::LoadMasked(from, mask.of[kFirst + i]) : S::Load(from));
    }
  }
  static void Store(float* p, V v) { S::Store(p, v); }
};

template <typename S, int kKernel>
struct Taps<S, kKernel, 2> {
  using V = typename S::Vector;
  using Pairs = typename S::template Pairs<kKernel>;
  using Mask = typename Pairs::Mask;
  static constexpr int kAtOnce = kKernel;

  template <bool kMasked, int kFirst>
  static TFPRUNE_INLINE void Load(const float* p, const Mask& mask, V (&x)[kAtOnce]) {
    if constexpr (kMasked) {
      Pairs::LoadMasked(p, mask, x);
    } else {
      Pairs::Load(p, x);
    }
  }
  static void Store(float* p, V v) { S::StorePairOrder(p, v); }
};

// What the tiles of one channel share.
template <typename S, int kKernel, int kStride>
struct StencilChannel {
  typename S::template Weights<kKernel * kKernel> weights;
  float bias;
  typename S::Vector low, high;
  size_t out_width;
};

template <typename S, int kKernel, int kStride, int kRows>
struct StencilTile {
  using V = typename S::Vector;
  using T = Taps<S, kKernel, kStride>;
  using Channel = StencilChannel<S, kKernel, kStride>;
  static constexpr int kInputRows = (kRows - 1) * kStride + kKernel;
  static constexpr int kPadding = kKernel / 2;  // rows at either end that may lie outside the image

  // Adds input row kRow, as tap kTap sees it, to every output row of the tile that it belongs to.
  template <int kRow, int kTap, int kKernelRow = 0>
  static TFPRUNE_INLINE void AddToRows(V (&acc)[kRows], V x, const Channel& channel) {
    if constexpr (kKernelRow < kKernel) {
      constexpr int kFrom = kRow - kKernelRow;
      if constexpr (kFrom >= 0 && kFrom % kStride == 0 && kFrom / kStride < kRows) {
        V& sum = acc[kFrom / kStride];
        sum = channel.weights.template MultiplyAdd<kKernelRow * kKernel + kTap>(sum, x);
      }
      AddToRows<kRow, kTap, kKernelRow + 1>(acc, x, channel);
    }
  }

  template <int kRow, int kFirst, int kIndex = 0>
  static TFPRUNE_INLINE void AddTaps(V (&acc)[kRows], const V (&x)[T::kAtOnce], const Channel& channel) {
    if constexpr (kIndex < T::kAtOnce) {
      AddToRows<kRow, kFirst + kIndex>(acc, x[kIndex], channel);
      AddTaps<kRow, kFirst, kIndex + 1>(acc, x, channel);
    }
  }

  // Input rows [begin, end) of the tile's lie inside the image. The rows of one phase of the stride come first, then
  // those of the next: neighbours then add to different sums, which do not wait for one another.
  template <bool kMasked, int kFirst, int kRow = 0>
  static TFPRUNE_INLINE void AddInputRows(V (&acc)[kRows], const float* const* rows, ptrdiff_t at, int begin, int end,
                                          const typename T::Mask& mask, const Channel& channel) {
    if constexpr (kRow < kInputRows) {
      if (!((kRow < kPadding && kRow < begin) || (kRow >= kInputRows - kPadding && kRow >= end))) {
        V x[T::kAtOnce];
        T::template Load<kMasked, kFirst>(rows[kRow] + at, mask, x);
        AddTaps<kRow, kFirst>(acc, x, channel);
      }
      AddInputRows<kMasked, kFirst, kRow + kStride>(acc, rows, at, begin, end, mask, channel);
    }
  }

  template <bool kMasked, int kFirst = 0>
  static TFPRUNE_INLINE void AddAll(V (&acc)[kRows], const float* const* rows, ptrdiff_t at, int begin, int end,
                                    const typename T::Mask& mask, const Channel& channel) {
    if constexpr (kFirst < kKernel) {
      AddInputRows<kMasked, kFirst>(acc, rows, at, begin, end, mask, channel);
      if constexpr (kStride == 2) {
        AddInputRows<kMasked, kFirst, 1>(acc, rows, at, begin, end, mask, channel);
      }
      AddAll<kMasked, kFirst + T::kAtOnce>(acc, rows, at, begin, end, mask, channel);
    }
  }

  // Lane 0 of the first output row's first tap reads rows[0][at].
  template <bool kMasked>
  static TFPRUNE_INLINE void Run(const float* const* rows, ptrdiff_t at, int begin, int end,
                                 const typename T::Mask& mask, const Channel& channel, float* out) {
    V acc[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) acc[r] = S::Set(channel.bias);
    AddAll<kMasked>(acc, rows, at, begin, end, mask, channel);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      T::Store(out, S::Clamp(acc[r], channel.low, channel.high));
      out += channel.out_width;
    }
  }
};

template <typename S, int kKernel, int kStride>
class Stencil {
 public:
  Stencil(const DepthwiseShape& shape, const DepthwiseArgs& args)
      : s_(shape), a_(args), columns_((shape.out_width + S::kLanes - 1) / S::kLanes) {
    for (uint32_t i = 0; i <= kRightEdge; ++i) {
      const int offset = static_cast<int>(OffsetOf(i == 0 || i > columns_ ? 0 : columns_ - i));
      edge_[i].Set(-offset, static_cast<int>(shape.in_width) - offset);
    }
    inside_begin_ = s_.pad_left > 0 ? 1 : 0;
    constexpr int kLastRead = (S::kLanes - 1) * kStride + kKernel - 1;
    for (inside_end_ = columns_; inside_end_ > 0; --inside_end_) {
      if (OffsetOf(inside_end_ - 1) + kLastRead < static_cast<ptrdiff_t>(s_.in_width)) break;
    }
  }

  void Run() {
    Channel channel;
    channel.low = S::Set(a_.low);
    channel.high = S::Set(a_.high);
    channel.out_width = s_.out_width;
    for (uint32_t c = 0; c < a_.channels; ++c) {
      channel.bias = a_.bias == nullptr ? 0.0f : a_.bias[c];
      channel.weights.Read(a_.weights + size_t{c} * kKernel * kKernel);
      RunRows(channel, static_cast<ptrdiff_t>(c * a_.in_stride), a_.out + c * a_.out_stride);
    }
  }

 private:
  using Channel = StencilChannel<S, kKernel, kStride>;
  static constexpr uint32_t kMostRows = 7;   // of a tile
  static constexpr uint32_t kRightEdge = 2;  // columns of tiles at the right that may see the padding

  ptrdiff_t OffsetOf(uint32_t column) const {
    return static_cast<ptrdiff_t>(column) * S::kLanes * kStride - static_cast<ptrdiff_t>(s_.pad_left);
  }

  // `plane`: from a row of the first channel to the same row of this one.
  void RunRows(const Channel& channel, ptrdiff_t plane, float* out) {
    if constexpr (S::kTilesOfAnyHeight) {
      RunEvenTiles(channel, plane, out);
    } else {
      RunTilesOfFourAndSeven(channel, plane, out);
    }
  }

  // Tiles of four rows until the rest is a multiple of seven: few tiles, and none of one row but the last.
  void RunTilesOfFourAndSeven(const Channel& channel, ptrdiff_t plane, float* out) {
    uint32_t row = 0, rest = a_.out_count;
    for (; rest % 7 != 0 && rest >= 4; row += 4, rest -= 4) RunTiles<4>(channel, row, plane, out);
    if (rest % 7 != 0) {
      if (rest >= 2) RunTiles<2>(channel, row, plane, out), row += 2, rest -= 2;
      if (rest >= 1) RunTiles<1>(channel, row, plane, out);
      return;
    }
    for (; rest > 0; row += 7, rest -= 7) RunTiles<7>(channel, row, plane, out);
  }

  // The fewest tiles of up to kMostRows rows, of about equal height.
  void RunEvenTiles(const Channel& channel, ptrdiff_t plane, float* out) {
    uint32_t row = 0;
    for (uint32_t tiles = (a_.out_count + kMostRows - 1) / kMostRows; tiles > 0; --tiles) {
      row += RunTilesOf<kMostRows>((a_.out_count - row + tiles - 1) / tiles, channel, row, plane, out);
    }
  }

  template <int kRows>
  uint32_t RunTilesOf(uint32_t rows, const Channel& channel, uint32_t row, ptrdiff_t plane, float* out) {
    if constexpr (kRows > 1) {
      if (rows < kRows) return RunTilesOf<kRows - 1>(rows, channel, row, plane, out);
    }
    RunTiles<kRows>(channel, row, plane, out);
    return kRows;
  }

  // The kRows output rows from out_first + row on, column by column.
  template <int kRows>
  void RunTiles(const Channel& channel, uint32_t row, ptrdiff_t plane, float* out) {
    using Tile = StencilTile<S, kKernel, kStride, kRows>;
    const int64_t first = int64_t{a_.out_first + row} * kStride - s_.pad_top;
    const int begin = first < 0 ? static_cast<int>(-first) : 0;
    const int64_t inside = int64_t{s_.in_height} - first;
    const int end = inside < Tile::kInputRows ? static_cast<int>(inside) : Tile::kInputRows;
    const float* const* rows = a_.rows + (first - a_.in_first);  // read from `begin` on
    out += size_t{row} * s_.out_width;
    for (uint32_t column = columns_; column-- > 0;) {
      const ptrdiff_t at = plane + OffsetOf(column);
      float* to = out + column * S::kLanes;
      if (column >= inside_begin_ && column < inside_end_) {
        Tile::template Run<false>(rows, at, begin, end, edge_[0], channel, to);
      } else {
        const uint32_t behind = columns_ - column;
        Tile::template Run<true>(rows, at, begin, end, edge_[behind <= kRightEdge ? behind : 0], channel, to);
      }
    }
  }

  const DepthwiseShape& s_;
  const DepthwiseArgs& a_;
  const uint32_t columns_;
  uint32_t inside_begin_, inside_end_;                             // the columns of tiles that see no padding
  typename Taps<S, kKernel, kStride>::Mask edge_[kRightEdge + 1];  // of the first column, the last, and the one before
};

template <typename S, int kKernel, int kStride>
void RunStencil(const DepthwiseShape& shape, const DepthwiseArgs& args) {
  Stencil<S, kKernel, kStride>(shape, args).Run();
}
