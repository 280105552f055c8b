// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution of any shape. One output row at a time: each of its input rows is copied into scratch, padded
// and one line for each phase of the stride, so that a kernel column is an offset; sums are kept in scratch too.
//
// No include guard on purpose: an ISA file includes it once, in its own namespace.

// line[i] = row[i * stride + phase - pad_left], zero outside, for i < count.
inline void FillPhase(const DepthwiseShape& s, const float* row, uint32_t phase, size_t count, float* line) {
  const int64_t start = int64_t{phase} - s.pad_left;
  size_t i = 0;
  for (; i < count && start + static_cast<int64_t>(i * s.stride_w) < 0; ++i) line[i] = 0.0f;
  for (; i < count && start + static_cast<int64_t>(i * s.stride_w) < s.in_width; ++i) {
    line[i] = row[start + static_cast<int64_t>(i * s.stride_w)];
  }
  for (; i < count; ++i) line[i] = 0.0f;
}

template <typename S>
void AddKernelRow(const DepthwiseShape& s, const float* lines, size_t line_floats, const float* weights, float* sums) {
  for (uint32_t x = 0; x < s.out_width; x += S::kLanes) {
    typename S::Vector sum = S::Load(sums + x);
    for (uint32_t kx = 0; kx < s.kernel_w; ++kx) {
      const size_t place = size_t{kx} * s.dilation_w;
      const float* from = lines + place % s.stride_w * line_floats + place / s.stride_w + x;
      sum = S::MultiplyAdd(sum, S::Load(from), S::Set(weights[kx]));
    }
    S::Store(sums + x, sum);
  }
}

template <typename S>
void RunAnyShape(const DepthwiseShape& s, const DepthwiseArgs& a) {
  const size_t line_floats = DepthwiseLineFloats(s);
  float* sums = a.scratch;
  float* lines = sums + DepthwiseSumFloats(s);
  const uint32_t reach = (s.kernel_w - 1) * s.dilation_w;
  const uint32_t phases = reach < s.stride_w ? reach + 1 : s.stride_w;
  for (uint32_t c = 0; c < a.channels; ++c) {
    const float* weights = a.weights + size_t{c} * s.kernel_h * s.kernel_w;
    const float bias = a.bias == nullptr ? 0.0f : a.bias[c];
    for (uint32_t y = 0; y < a.out_count; ++y) {
      for (uint32_t x = 0; x < s.out_width; x += S::kLanes) S::Store(sums + x, S::Set(bias));
      for (uint32_t ky = 0; ky < s.kernel_h; ++ky) {
        const int64_t iy = int64_t{a.out_first + y} * s.stride_h + int64_t{ky} * s.dilation_h - s.pad_top;
        if (iy < 0 || iy >= s.in_height) continue;
        const float* row = a.rows[iy - a.in_first] + c * a.in_stride;
        for (uint32_t p = 0; p < phases; ++p) FillPhase(s, row, p, line_floats, lines + p * line_floats);
        AddKernelRow<S>(s, lines, line_floats, weights + ky * s.kernel_w, sums);
      }
      float* out = a.out + c * a.out_stride + size_t{y} * s.out_width;
      for (uint32_t x = 0; x < s.out_width; x += S::kLanes) {
        S::Store(out + x, S::Clamp(S::Load(sums + x), S::Set(a.low), S::Set(a.high)));
      }
    }
  }
}
