// SPDX-License-Identifier: Apache-2.0
// Pooling by rows, then by columns: the rows of a window are reduced into one line of scratch, vector by vector, and
// the line's columns into the output. Columns outside the image hold the neutral value.
//
// No include guard on purpose: an ISA file includes it once, in its own namespace.

template <typename S>
struct Maximum {
  using V = typename S::Vector;
  static constexpr bool kAverage = false;
  static float Neutral() { return -INFINITY; }
  static V Reduce(V a, V b) { return S::Max(a, b); }
};

template <typename S>
struct Sum {
  using V = typename S::Vector;
  static constexpr bool kAverage = true;
  static float Neutral() { return 0.0f; }
  static V Reduce(V a, V b) { return S::Add(a, b); }
};

template <typename S, template <typename> class R>
class Pooling {
 public:
  Pooling(const PoolShape& shape, const PoolArgs& args)
      : s_(shape),
        a_(args),
        phase_floats_(PoolPhaseFloats(shape)),
        line_floats_(PoolLineFloats(shape)),
        line_(args.scratch),
        counts_(line_ + line_floats_),
        phases_(counts_ + PoolCountFloats(shape)) {
    for (size_t i = 0; i < line_floats_; ++i) line_[i] = R<S>::Neutral();
    for (uint32_t x = 0; R<S>::kAverage && x < s_.out_width + S::kLanes; ++x) counts_[x] = ColumnsOf(x);
  }

  void Run() {
    for (uint32_t c = 0; c < a_.channels; ++c) {
      for (uint32_t y = 0; y < a_.out_count; ++y) {
        const int64_t first = int64_t{a_.out_first + y} * s_.stride_h - s_.pad_top;
        const int64_t begin = first < 0 ? 0 : first;
        const int64_t end = first + s_.kernel_h < s_.in_height ? first + s_.kernel_h : s_.in_height;
        ReduceRows(a_.in + c * a_.in_stride + (begin - a_.in_first) * s_.in_width, static_cast<size_t>(end - begin));
        SplitPhases();
        ReduceColumns(static_cast<float>(end - begin), a_.out + c * a_.out_stride + size_t{y} * s_.out_width);
      }
    }
  }

 private:
  using V = typename S::Vector;

  // Columns of the image in the windows of output column x; 1 for those behind the output.
  float ColumnsOf(uint32_t x) const {
    const int64_t first = int64_t{x} * s_.stride_w - s_.pad_left;
    const int64_t begin = first < 0 ? 0 : first;
    const int64_t end = first + s_.kernel_w < s_.in_width ? first + s_.kernel_w : s_.in_width;
    return end > begin ? static_cast<float>(end - begin) : 1.0f;
  }

  void ReduceRows(const float* rows, size_t count) {
    float* line = line_ + s_.pad_left;
    for (size_t x = 0; x < s_.in_width; x += S::kLanes) {
      V value = S::Load(rows + x);
      for (size_t r = 1; r < count; ++r) value = R<S>::Reduce(value, S::Load(rows + r * s_.in_width + x));
      S::Store(line + x, value);
    }
    S::Store(line + s_.in_width, S::Set(R<S>::Neutral()));  // over what the last vector wrote too far
  }

  void SplitPhases() {
    if (s_.stride_w == 1) return;
    if (s_.stride_w == 2) return SplitInTwo();
    for (size_t i = 0; i < phase_floats_; ++i) {
      for (size_t p = 0; p < s_.stride_w; ++p) phases_[p * phase_floats_ + i] = line_[i * s_.stride_w + p];
    }
  }

  // The odd phase is written last: what the even one wrote behind its end is the odd one's beginning.
  void SplitInTwo() {
    using Pairs = typename S::template Pairs<3>;
    for (size_t odd = 0; odd < 2; ++odd) {
      float* phase = phases_ + odd * phase_floats_;
      for (size_t i = 0; i < phase_floats_; i += S::kLanes) {
        V x[3];
        Pairs::Load(line_ + 2 * i, x);
        S::StorePairOrder(phase + i, x[odd]);
      }
    }
  }

  void ReduceColumns(float rows, float* out) {
    const float* lines = s_.stride_w == 1 ? line_ : phases_;
    const V low = S::Set(a_.low), high = S::Set(a_.high), rows_of_window = S::Set(rows);
    for (size_t x = 0; x < s_.out_width; x += S::kLanes) {
      V value = S::Load(lines + x);
      for (size_t k = 1; k < s_.kernel_w; ++k) {
        value = R<S>::Reduce(value, S::Load(lines + k % s_.stride_w * phase_floats_ + k / s_.stride_w + x));
      }
      if constexpr (R<S>::kAverage) value = S::Divide(value, S::Multiply(rows_of_window, S::Load(counts_ + x)));
      S::Store(out + x, S::Clamp(value, low, high));
    }
  }

  const PoolShape& s_;
  const PoolArgs& a_;
  const size_t phase_floats_, line_floats_;
  float *const line_, *const counts_, *const phases_;
};

template <typename S, template <typename> class R>
void RunPool(const PoolShape& shape, const PoolArgs& args) {
  Pooling<S, R>(shape, args).Run();
}
