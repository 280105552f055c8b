// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <math.h>

#include <string>

#include "tflite_ops/kernels/planar/planar.h"
#include "tflite_ops/testing/guarded.h"

namespace tfprune {
namespace {

constexpr Arch kArchs[] = {
#define TFPRUNE_ISA(name, value) Arch::value,
#include "tflite_ops/kernels/planar/isa.inc"
#undef TFPRUNE_ISA
};

// Tiles of one block, of several, with and without a gap between channels, in a ring or kept whole.
struct Layout {
  uint32_t tile, gap, slots;
};
constexpr Layout kLayouts[] = {{16, 0, 40}, {64, 0, 40}, {64, 16, 40}, {48, 32, 40}, {240, 16, 40}, {32, 0, 3}};

struct Image {
  Image(const Layout& layout, uint32_t channels)
      : values(size_t{layout.slots} * channels * (layout.tile + layout.gap)),
        tiled{values.data(), channels, layout.tile, layout.slots, layout.tile + layout.gap} {}
  float& At(uint32_t pixel, uint32_t c) { return tiled.At(pixel)[c * tiled.stride]; }

  Guarded<float> values;
  TiledImage tiled;
};

float Name(uint32_t pixel, uint32_t c) { return static_cast<float>(pixel * 64 + c + 1); }

// Pixels that the ring still holds when all before `end` were written.
uint32_t Oldest(const Layout& layout, uint32_t end) {
  const uint32_t tiles = (end + layout.tile - 1) / layout.tile;
  return tiles <= layout.slots ? 0 : (tiles - layout.slots) * layout.tile;
}

TEST(Tiles, GatherLaysPixelsOfAChannelSideBySide) {
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    const GatherFn gather = GetKernels(arch, Encoding::kRowBand, 4).gather;
    for (const Layout& layout : kLayouts) {
      const uint32_t channels = 5, pixels = 300;
      Image image(layout, channels);
      for (uint32_t p = 0; p < pixels; ++p) {
        for (uint32_t c = 0; c < channels; ++c) image.At(p, c) = Name(p, c);
      }
      for (uint32_t begin = Oldest(layout, pixels); begin < pixels; begin += 7) {
        for (const uint32_t length : {1u, 3u, 15u, 16u, 17u, 33u, 64u, 100u}) {
          const uint32_t end = begin + length, first = begin % 3, count = 1 + begin % 2;
          // The last vector of the last tile may reach behind it: not tested at the very end of the image's memory.
          if (end > pixels - 2 * kMaxLanes) continue;
          const size_t stride = length + kMaxLanes - 1;
          Guarded<float> out(count * stride);
          gather(image.tiled, first, count, begin, end, out.data(), stride);
          for (uint32_t c = 0; c < count; ++c) {
            for (uint32_t p = begin; p < end; ++p) {
              ASSERT_EQ(out[c * stride + p - begin], Name(p, first + c))
                  << ArchName(arch) << " tile " << layout.tile << " pixels " << begin << " to " << end;
            }
          }
        }
      }
    }
  }
}

TEST(Tiles, ScatterIsTheInverse) {
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    const ScatterFn scatter = GetKernels(arch, Encoding::kRowBand, 4).scatter;
    for (const Layout& layout : kLayouts) {
      const uint32_t channels = 5, before = 16 * 10;
      for (const uint32_t begin : {0u, 16u, 48u, before}) {
        for (const uint32_t length : {1u, 3u, 15u, 16u, 17u, 33u, 64u, 96u}) {
          const uint32_t end = begin + length, first = length % 3, count = 1 + length % 2;
          if (end - begin > layout.tile * layout.slots) continue;
          Image image(layout, channels);
          for (size_t i = 0; i < image.values.size(); ++i) image.values[i] = -1.0f;
          const size_t stride = length + kMaxLanes - 1;
          Guarded<float> in(count * stride);
          for (size_t i = 0; i < in.size(); ++i) in[i] = NAN;
          for (uint32_t c = 0; c < count; ++c) {
            for (uint32_t p = begin; p < end; ++p) in[c * stride + p - begin] = Name(p, first + c);
          }
          scatter(image.tiled, first, count, begin, end, in.data(), stride);
          for (uint32_t p = Oldest(layout, end) > begin ? Oldest(layout, end) : begin; p < end; ++p) {
            for (uint32_t c = 0; c < channels; ++c) {
              const bool written = c >= first && c < first + count;
              ASSERT_EQ(image.At(p, c), written ? Name(p, c) : -1.0f)
                  << ArchName(arch) << " tile " << layout.tile << " pixels " << begin << " to " << end << " at " << p;
            }
          }
          if (begin <= Oldest(layout, end)) continue;
          for (uint32_t c = 0; c < channels; ++c) ASSERT_EQ(image.At(begin - 1, c), -1.0f) << "written before begin";
        }
      }
    }
  }
}

}  // namespace
}  // namespace tfprune
