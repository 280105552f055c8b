// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/planar/planar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tflite_ops/testing/guarded.h"

namespace tfprune {
namespace {

constexpr Arch kArchs[] = {
#define TFPRUNE_ISA(name, value) Arch::value,
#include "tflite_ops/kernels/planar/isa.inc"
#undef TFPRUNE_ISA
};

// Every listed arch is either tested here or not there on this machine; the best one always is.
TEST(Planar, TheDetectedArchHasKernels) {
  if (DetectedArch() == Arch::kReference) GTEST_SKIP() << "the reference has no planar kernels";
  int supported = 0;
  for (const Arch arch : kArchs) supported += IsSupported(arch);
  EXPECT_GT(supported, 0);
  EXPECT_NE(GetKernels(DetectedArch(), Encoding::kRowBand, 4).many.runs[0], nullptr);
}

TEST(Planar, EveryGroupSizeHasBothKernelsNamedAfterTheirArch) {
  for (const Arch arch : kArchs) {
    for (const Encoding encoding : {Encoding::kRowBand, Encoding::kSlidingRow}) {
      for (uint32_t rows = 1; rows <= kMaxSlidingRows; ++rows) {
        const KernelSet set = GetKernels(arch, encoding, rows);
        ASSERT_NE(set.many.runs[0], nullptr);
        ASSERT_NE(set.single.runs[0], nullptr);
        for (uint32_t positions = 1; positions <= 2 * set.many.tile; ++positions) {
          uint32_t width = 0;
          ASSERT_NE(set.many.Fit(positions, &width), nullptr);
          const uint32_t needed = (positions + set.many.lanes - 1) / set.many.lanes * set.many.lanes;
          EXPECT_LE(width, needed);
          EXPECT_GT(2 * width, std::min(needed, set.many.tile));
        }
        EXPECT_EQ(set.single.tile, 1u);
        EXPECT_GT(set.many.tile, 1u);
        EXPECT_LE(set.many.tile, kMaxTile);
        EXPECT_NE(std::string(set.many.name).find(ArchName(arch)), std::string::npos);
        const char* expected = encoding == Encoding::kRowBand ? "row_band" : "sliding_row";
        EXPECT_EQ(std::string(set.many.name).rfind(expected, 0), 0u);
      }
    }
  }
}

TEST(Planar, BlocksHaveBothKernelsNamedAfterTheirArch) {
  for (const Arch arch : kArchs) {
    for (const Encoding encoding : {Encoding::kBlockRows, Encoding::kBlockColumns}) {
      const KernelSet set = GetKernels(arch, encoding, encoding == Encoding::kBlockRows ? 16 : 1);
      const std::string name = encoding == Encoding::kBlockRows ? "block_rows" : "block_columns";
      ASSERT_NE(set.many.runs[0], nullptr);
      ASSERT_NE(set.single.runs[0], nullptr);
      EXPECT_EQ(set.many.name, name + "/" + ArchName(arch));
      EXPECT_EQ(set.single.name, name + "_single/" + ArchName(arch));
      EXPECT_EQ(set.single.tile, 1u);
      EXPECT_LE(set.many.tile, kMaxTile);
    }
  }
}

TEST(Planar, ToPlanarTransposesEveryShape) {
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    const ToPlanarFn to_planar = GetKernels(arch, Encoding::kRowBand, 4).to_planar;
    for (const size_t channels : {1u, 3u, 4u, 7u, 8u, 15u, 16u, 17u, 33u}) {
      for (const size_t count : {1u, 2u, 4u, 5u, 8u, 15u, 16u, 17u, 31u, 40u}) {
        for (const size_t stride : {channels, channels + 3, 2 * channels}) {
          // The last pixel ends at an unmapped page: no channel behind it may be read.
          Guarded<float> in((count - 1) * stride + channels);
          for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i + 1);
          const size_t plane = count + kMaxLanes - 1;
          Guarded<float> out(channels * plane);
          for (size_t i = 0; i < out.size(); ++i) out[i] = -1.0f;
          to_planar(in.data(), stride, count, channels, out.data(), plane);
          for (size_t c = 0; c < channels; ++c) {
            for (size_t p = 0; p < count; ++p) {
              ASSERT_EQ(out[c * plane + p], in[p * stride + c])
                  << ArchName(arch) << " channels " << channels << " count " << count << " stride " << stride;
            }
          }
        }
      }
    }
  }
}

TEST(Planar, FromPlanarIsTheInverse) {
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    const FromPlanarFn from_planar = GetKernels(arch, Encoding::kRowBand, 4).from_planar;
    for (const size_t channels : {1u, 3u, 4u, 7u, 8u, 15u, 16u, 17u, 33u}) {
      for (const size_t count : {1u, 2u, 4u, 5u, 8u, 15u, 16u, 17u, 31u, 40u}) {
        for (const size_t stride : {channels, channels + 3}) {
          const size_t plane = count + kMaxLanes - 1;
          Guarded<float> in(channels * plane), out((count - 1) * stride + channels);
          for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i + 1);
          for (size_t i = 0; i < out.size(); ++i) out[i] = -1.0f;
          from_planar(in.data(), plane, count, channels, out.data(), stride);
          for (size_t i = 0; i < out.size(); ++i) {
            const size_t p = i / stride, c = i % stride;
            ASSERT_EQ(out[i], c < channels ? in[c * plane + p] : -1.0f)
                << ArchName(arch) << " channels " << channels << " count " << count << " stride " << stride;
          }
        }
      }
    }
  }
}

TEST(Planar, CopyStridedReadsNothingBehindTheLast) {
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    const CopyStridedFn copy = GetKernels(arch, Encoding::kRowBand, 4).copy_strided;
    for (const size_t stride : {1u, 2u, 3u}) {
      for (const size_t count : {1u, 2u, 7u, 8u, 9u, 16u, 17u, 33u}) {
        Guarded<float> in((count - 1) * stride + 1), out(count + kMaxLanes - 1);
        for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i + 1);
        copy(in.data(), stride, count, out.data());
        for (size_t i = 0; i < count; ++i) ASSERT_EQ(out[i], in[i * stride]) << ArchName(arch) << " stride " << stride;
      }
    }
  }
}

}  // namespace
}  // namespace tfprune
