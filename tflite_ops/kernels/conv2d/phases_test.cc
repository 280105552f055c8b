// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/conv2d/phases.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace tfprune {
namespace {

// Each tap reads, for position 0, from its row and column times the dilation: the plane's first row and column and the
// place in it must come to that.
void ExpectPlaces(const PackedWeights& w, bool columns_apart) {
  const Phases phases(w, columns_apart);
  std::set<std::pair<uint32_t, uint32_t>> firsts;
  std::set<uint32_t> read;
  for (uint32_t phase = 0; phase < phases.count(); ++phase) {
    firsts.insert({phases.FirstRow(phase), phases.FirstColumn(phase)});
  }
  EXPECT_EQ(firsts.size(), phases.count());
  for (uint32_t tap = 0; tap < w.kernel_h * w.kernel_w; ++tap) {
    const Phases::Place at = phases.Of(tap);
    ASSERT_LT(at.phase, phases.count());
    read.insert(at.phase);
    EXPECT_EQ(phases.FirstRow(at.phase) + at.row * w.stride_h, tap / w.kernel_w * w.dilation_h);
    EXPECT_EQ(phases.FirstColumn(at.phase) + at.column * w.stride_w, tap % w.kernel_w * w.dilation_w);
    EXPECT_TRUE(!columns_apart || at.column == 0);
  }
  EXPECT_EQ(read.size(), phases.count());
}

TEST(Phases, EveryTapReadsThePlaceThatItsRowAndColumnSay) {
  for (uint32_t stride = 1; stride <= 7; ++stride) {
    for (uint32_t dilation = 1; dilation <= 7; ++dilation) {
      for (uint32_t kernel = 1; kernel <= 9; ++kernel) {
        PackedWeights w;
        w.kernel_h = kernel, w.kernel_w = 10 - kernel;
        w.stride_h = stride, w.stride_w = 8 - stride;
        w.dilation_h = dilation, w.dilation_w = 8 - dilation;
        ExpectPlaces(w, false);
        ExpectPlaces(w, true);
      }
    }
  }
}

TEST(Phases, AsManyAsTapsDoNotTakeLonger) {
  PackedWeights w;
  w.kernel_h = w.kernel_w = w.stride_h = w.stride_w = 1 << 14;
  w.dilation_h = w.dilation_w = 1;
  const Phases phases(w, false);
  EXPECT_EQ(phases.count(), 1u << 28);
  EXPECT_EQ(phases.Of((1u << 28) - 1).phase, (1u << 28) - 1);
}

}  // namespace
}  // namespace tfprune
