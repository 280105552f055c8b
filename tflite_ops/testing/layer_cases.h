// SPDX-License-Identifier: Apache-2.0
// The layers on which tests of integer convolutions run: channels round the vector widths, and every kind of window.
#ifndef TFPRUNE_TESTING_LAYER_CASES_H_
#define TFPRUNE_TESTING_LAYER_CASES_H_

#include <gtest/gtest.h>

#include <algorithm>

#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {

// A pointwise layer whose channels follow from the seed; without activation.
inline PackedSpec SizedSpec(Encoding encoding, uint32_t rows, uint32_t cols, uint32_t seed) {
  constexpr uint32_t kSizes[] = {1, 3, 4, 5, 8, 15, 16, 17, 33, 70};
  PackedSpec spec;
  spec.encoding = encoding;
  spec.out_channels = std::max(rows, kSizes[seed % 10]);
  spec.in_channels = std::max(cols, kSizes[seed * 7 % 10]);
  spec.group_rows = rows;
  spec.group_cols = cols;
  spec.density = 0.4;
  spec.activation = Activation::kNone;
  return spec;
}

// Calls check(spec, batch, height, width, seed) for kernels, strides, dilations and paddings, until one fails.
template <typename SpecOf, typename Check>
void ForEachWindow(SpecOf spec_of, Check check) {
  uint32_t seed = 1000;
  for (const uint32_t kernel_h : {1u, 2u, 3u}) {
    for (const uint32_t kernel_w : {1u, 3u, 4u}) {
      for (const uint32_t stride : {1u, 2u, 3u}) {
        for (const Padding padding : {Padding::kSame, Padding::kValid}) {
          PackedSpec spec = spec_of(seed % 2 == 0 ? Encoding::kRowBand : Encoding::kSlidingRow, 1 + seed % 4,
                                    seed % 3 == 0 ? 1 : 4, seed);
          spec.kernel_h = kernel_h;
          spec.kernel_w = kernel_w;
          spec.stride_h = stride;
          spec.stride_w = 1 + (stride + seed) % 3;
          spec.dilation_h = 1 + seed % 2;
          spec.dilation_w = 1 + seed % 3;
          spec.padding = padding;
          const bool valid = padding == Padding::kValid;
          const uint32_t least_h = valid ? (kernel_h - 1) * spec.dilation_h + 1 : 1;
          const uint32_t least_w = valid ? (kernel_w - 1) * spec.dilation_w + 1 : 1;
          check(spec, 1 + seed % 2, least_h + seed % 9, least_w + seed % 13, seed);
          if (::testing::Test::HasFatalFailure()) return;
          ++seed;
        }
      }
    }
  }
}

}  // namespace tfprune

#endif  // TFPRUNE_TESTING_LAYER_CASES_H_
