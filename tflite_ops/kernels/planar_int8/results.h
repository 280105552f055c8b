// SPDX-License-Identifier: Apache-2.0
// The way of finished sums to NHWC memory, templated over one instruction set `S`: rows are kept planar in the scratch,
// and kInt8ScratchRows of them are transposed at a time.
//
// No include guard on purpose: generic.h includes it once, inside the namespace of an ISA file.

// One row of float results: row `row`, from the sums of all vectors of a tile.
template <typename S, int kVectors>
__attribute__((noinline)) void ToFloatRow(const Int8TileArgs& a, size_t row, const typename S::Vector* total,
                                          float* out) {
  const float bias = a.bias == nullptr ? 0.0f : a.bias[row];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const size_t p = static_cast<size_t>(v) * S::kLanes;
    S::ToFloats(out + p, total[v], a.row_sums[row], a.zero_points + p, a.position_scales + p, a.scales[row], bias,
                a.low, a.high);
  }
}

// Takes the sums of the rows of a call one by one, from row `row` on. What each row needs is held here, in registers:
// behind every store of bytes the compiler would load it from the arguments again.
template <typename S, int kVectors>
class Int8Results {
 public:
  static constexpr uint32_t kTile = kVectors * S::kLanes;

  // `held` rows before `row` are in the scratch already.
  inline __attribute__((always_inline)) Int8Results(const Int8TileArgs& args, uint32_t row, uint32_t held)
      : args_(args),
        clamp_(args.low, args.high, args.zero_point),
        factor_(args.factors == nullptr ? nullptr : args.factors + row),
        row_(row),
        held_(held),
        row_bytes_(args.factors == nullptr ? kTile * sizeof(float) : kTile),
        to_(args.scratch + held * row_bytes_) {}

  inline __attribute__((always_inline)) uint32_t row() const { return row_; }
  inline __attribute__((always_inline)) uint32_t held() const { return held_; }

  // Makes room for `rows` more.
  inline __attribute__((always_inline)) void Reserve(uint32_t rows) {
    if (held_ + rows > kInt8ScratchRows) Flush();
  }

  inline __attribute__((always_inline)) void Add(const typename S::Vector* total) {
    if (factor_ != nullptr) {
      S::template ToBytes<kVectors>(reinterpret_cast<int8_t*>(to_), total, *factor_, clamp_);
    } else {
      // A copy, or the sums themselves would have to live in memory.
      typename S::Vector copy[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) copy[v] = total[v];
      ToFloatRow<S, kVectors>(args_, row_, copy, reinterpret_cast<float*>(to_));
    }
    Skip(1);
  }

  // Goes on behind `rows` that somebody else has put into the scratch.
  inline __attribute__((always_inline)) void Skip(uint32_t rows) {
    if (factor_ != nullptr) factor_ += rows;
    to_ += rows * row_bytes_;
    row_ += rows;
    held_ += rows;
  }

  // Stores what is held.
  inline __attribute__((always_inline)) void Flush() {
    if (factor_ != nullptr) {
      StoreByteRows(args_, kTile, row_ - held_, held_);
    } else {
      StoreFloatRows<S::kLanes>(args_, kTile, row_ - held_, held_);
    }
    held_ = 0;
    to_ = args_.scratch;
  }

 private:
  const Int8TileArgs& args_;
  const typename S::Clamp clamp_;
  const float* factor_;
  uint32_t row_, held_;
  const uint32_t row_bytes_;
  uint8_t* to_;
};
