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

// One row of int8 results that a builtin kernel of LiteRT would round.
template <typename S, int kVectors>
__attribute__((noinline)) void ToRoundedRow(const RowRule& rule, const OutputRange& range,
                                            const typename S::Vector* total, int8_t* out) {
  constexpr size_t kTile = static_cast<size_t>(kVectors) * S::kLanes;
#if defined(__ARM_NEON)
  if (TwoRoundings::Fits(rule)) {
    const TwoRoundings rounded(rule, range);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const int16x4_t shorts = rounded.Of(total[v]);
      const int32x2_t bytes = vreinterpret_s32_s8(vmovn_s16(vcombine_s16(shorts, shorts)));
      vst1_lane_s32(reinterpret_cast<int32_t*>(out) + v, bytes, 0);
    }
    return;
  }
#endif
  int32_t sums[kTile];
  int16_t rounded[kTile];
  memcpy(sums, total, sizeof(sums));
  FinishRow({rule, range, sums, nullptr, kTile, rounded});
  typedef int8_t Bytes4 __attribute__((vector_size(4)));
  for (size_t p = 0; p < kTile; p += 4) {
    Short4 shorts;
    memcpy(&shorts, rounded + p, sizeof(shorts));
    const Bytes4 bytes = __builtin_convertvector(shorts, Bytes4);
    memcpy(out + p, &bytes, sizeof(bytes));
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
        rules_(args.rules),
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
    if (factor_ != nullptr && rules_ == nullptr) {
      S::template ToBytes<kVectors>(reinterpret_cast<int8_t*>(to_), total, *factor_, clamp_);
    } else {
      // A copy, or the sums themselves would have to live in memory.
      typename S::Vector copy[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) copy[v] = total[v];
      if (rules_ != nullptr) {
        ToRoundedRow<S, kVectors>(rules_[row_], args_.range, copy, reinterpret_cast<int8_t*>(to_));
      } else {
        ToFloatRow<S, kVectors>(args_, row_, copy, reinterpret_cast<float*>(to_));
      }
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
  const RowRule* const rules_;
  uint32_t row_, held_;
  const uint32_t row_bytes_;
  uint8_t* to_;
};
