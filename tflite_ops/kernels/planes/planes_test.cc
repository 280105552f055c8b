// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/planes/planes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tflite_ops/testing/guarded.h"

namespace tfprune {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kEpsilon = std::numeric_limits<float>::epsilon();

constexpr Arch kArchs[] = {
#define TFPRUNE_ISA(name, value) Arch::value,
#include "tflite_ops/kernels/simd/isa.inc"
#undef TFPRUNE_ISA
};

std::vector<float> RandomValues(size_t count, std::mt19937* random) {
  std::uniform_real_distribution<float> value(-8.0f, 8.0f);
  std::vector<float> values(count);
  for (float& one : values) one = value(*random);
  return values;
}

void Spoil(std::vector<float>* values, std::mt19937* random) {
  const float special[] = {std::nanf(""), kInfinity, -kInfinity, 1e-41f, -1e-41f, 0.0f, -0.0f};
  for (const float one : special) (*values)[(*random)() % values->size()] = one;
}

void ExpectSame(const float* got, const std::vector<float>& expected, const std::string& what) {
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i])) {
      ASSERT_TRUE(std::isnan(got[i])) << what << " at " << i;
    } else {
      ASSERT_EQ(got[i], expected[i]) << what << " at " << i;
    }
  }
}

TEST(Planes, AddIsExactForEveryCount) {
  std::mt19937 random(1);
  const PlaneKernels reference = ReferencePlaneKernels();
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    const PlaneKernels kernels = GetPlaneKernels(arch);
    EXPECT_EQ(kernels.name, std::string("planes/") + ArchName(arch));
    for (size_t count = 0; count < 70; ++count) {
      for (const float low : {-kInfinity, 0.0f}) {
        std::vector<float> a = RandomValues(count, &random), b = RandomValues(count, &random), expected(count);
        if (count > 0) Spoil(&a, &random), Spoil(&b, &random);
        const float high = low == 0.0f ? 6.0f : kInfinity;
        Guarded<float> x(a), y(b), out(count);
        reference.add(a.data(), b.data(), count, low, high, expected.data());
        kernels.add(x.data(), y.data(), count, low, high, out.data());
        ExpectSame(out.data(), expected, kernels.name);
        kernels.add(x.data(), y.data(), count, low, high, y.data());
        ExpectSame(y.data(), expected, kernels.name);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(Planes, MeanReadsItsPlanesOnly) {
  std::mt19937 random(2);
  const PlaneKernels reference = ReferencePlaneKernels();
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    const PlaneKernels kernels = GetPlaneKernels(arch);
    for (const size_t count : {1u, 2u, 3u, 4u, 7u, 15u, 16u, 17u, 49u, 63u, 64u, 65u, 130u, 784u}) {
      for (const size_t gap : {0u, 3u}) {
        const size_t stride = count + gap;
        const uint32_t channels = 5;
        Guarded<float> x(RandomValues((channels - 1) * stride + count, &random));
        for (uint32_t c = 0; c + 1 < channels; ++c) {
          for (size_t i = count; i < stride; ++i) x[c * stride + i] = std::nanf("");
        }
        std::vector<float> expected(channels);
        Guarded<float> out(channels);
        reference.mean(x.data(), stride, count, channels, -1.0f, 6.0f, expected.data());
        kernels.mean(x.data(), stride, count, channels, -1.0f, 6.0f, out.data());
        for (uint32_t c = 0; c < channels; ++c) {
          ASSERT_NEAR(out[c], expected[c], 8.0f * static_cast<float>(count) * kEpsilon) << kernels.name << " " << count;
        }
      }
    }
    std::vector<float> odd(100, 1.0f);
    odd[37] = std::nanf("");
    float mean = 0.0f;
    kernels.mean(odd.data(), 100, 100, 1, 0.0f, 6.0f, &mean);
    EXPECT_TRUE(std::isnan(mean));
    odd[37] = kInfinity;
    kernels.mean(odd.data(), 100, 100, 1, -kInfinity, kInfinity, &mean);
    EXPECT_EQ(mean, kInfinity);
  }
}

// TFLite's SAME padding, or VALID.
PoolShape MakeShape(uint32_t height, uint32_t width, uint32_t kernel, uint32_t stride, bool same) {
  const auto out = [&](uint32_t in) { return same ? (in + stride - 1) / stride : (in - kernel) / stride + 1; };
  const auto pad = [&](uint32_t in) {
    const int64_t total = int64_t{out(in) - 1} * stride + kernel - in;
    return same && total > 0 ? static_cast<uint32_t>(total / 2) : 0u;
  };
  return {height, width, out(height), out(width), kernel, kernel, stride, stride, pad(height), pad(width)};
}

struct PoolCall {
  PoolShape shape;
  PoolArgs args;
  Guarded<float> in, out, scratch;
  std::vector<float> expected;

  // The whole image where `first` and `count` are those of the output; else the rows that are read and no others.
  PoolCall(const PoolShape& s, uint32_t channels, uint32_t first, uint32_t count, std::mt19937* random)
      : PoolCall(s, channels, first, count, RowsRead(s, first, count), random) {}

  PoolCall(const PoolShape& s, uint32_t channels, uint32_t first, uint32_t count, std::pair<uint32_t, uint32_t> rows,
           std::mt19937* random)
      : shape(s),
        in(channels * size_t{rows.second} * s.in_width + kMaxLanes - 1),
        out(channels * size_t{count} * s.out_width + kMaxLanes - 1),
        scratch(PoolScratchFloats(s)) {
    const size_t plane = size_t{rows.second} * s.in_width;
    args = {channels, in.data(), plane, rows.first, rows.second,   out.data(), size_t{count} * s.out_width,
            first,    count,     -4.0f, 5.0f,       scratch.data()};
    const std::vector<float> values = RandomValues(channels * plane, random);
    std::copy(values.begin(), values.end(), in.data());
    for (size_t i = values.size(); i < in.size(); ++i) in[i] = std::nanf("");
    for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = std::nanf("");
  }

  static std::pair<uint32_t, uint32_t> RowsRead(const PoolShape& s, uint32_t first, uint32_t count) {
    const int64_t begin = int64_t{first} * s.stride_h - s.pad_top;
    const int64_t end = int64_t{first + count - 1} * s.stride_h - s.pad_top + s.kernel_h;
    const uint32_t from = static_cast<uint32_t>(std::max<int64_t>(begin, 0));
    return {from, static_cast<uint32_t>(std::min<int64_t>(end, s.in_height)) - from};
  }

  std::string Describe(const PlaneKernels& kernels) const {
    return std::string(kernels.name) + " " + std::to_string(shape.in_height) + "x" + std::to_string(shape.in_width) +
           " k" + std::to_string(shape.kernel_w) + " s" + std::to_string(shape.stride_w) + " pad " +
           std::to_string(shape.pad_top) + " " + std::to_string(shape.pad_left) + " rows from " +
           std::to_string(args.out_first);
  }

  void Check(const PlaneKernels& kernels, bool average) {
    expected.assign(args.channels * args.out_stride, 0.0f);
    PoolArgs reference = args;
    reference.out = expected.data();
    const PlaneKernels plain = ReferencePlaneKernels();
    (average ? plain.average_pool : plain.max_pool)(shape, reference);
    (average ? kernels.average_pool : kernels.max_pool)(shape, args);
    const float window = static_cast<float>(shape.kernel_h * shape.kernel_w);
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(out[i], expected[i], average ? 8.0f * window * kEpsilon : 0.0f) << Describe(kernels) << " at " << i;
    }
  }
};

TEST(Planes, PoolingAgreesWithTheReference) {
  std::mt19937 random(3);
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    const PlaneKernels kernels = GetPlaneKernels(arch);
    for (const uint32_t kernel : {1u, 2u, 3u, 5u, 7u}) {
      for (const uint32_t stride : {1u, 2u, 3u, 4u}) {
        for (const uint32_t width : {1u, 2u, 7u, 8u, 9u, 14u, 16u, 17u, 31u, 33u, 112u}) {
          for (const bool same : {true, false}) {
            const uint32_t height = 10;
            if (!same && width < kernel) continue;
            const PoolShape shape = MakeShape(height, width, kernel, stride, same);
            for (const bool average : {true, false}) {
              PoolCall(shape, 2, 0, shape.out_height, &random).Check(kernels, average);
              const uint32_t first = shape.out_height / 2;
              PoolCall(shape, 2, first, shape.out_height - first, &random).Check(kernels, average);
              if (HasFatalFailure()) return;
            }
          }
        }
      }
    }
    const PoolShape uneven = {12, 20, 6, 20, 3, 2, 2, 1, 1, 0};
    PoolCall(uneven, 3, 0, 6, &random).Check(kernels, true);
    PoolCall(uneven, 3, 0, 6, &random).Check(kernels, false);
  }
}

TEST(Planes, PoolingOfInfinities) {
  std::mt19937 random(4);
  for (const Arch arch : kArchs) {
    if (!IsSupported(arch)) continue;
    const PlaneKernels kernels = GetPlaneKernels(arch);
    PoolCall call(MakeShape(8, 8, 2, 2, false), 1, 0, 4, &random);
    call.args.low = -kInfinity;
    call.args.high = kInfinity;
    for (size_t i = 0; i < 64; ++i) call.in[i] = -kInfinity;
    call.in[0] = kInfinity;
    call.in[63] = std::nanf("");
    kernels.max_pool(call.shape, call.args);
    EXPECT_EQ(call.out[0], kInfinity);
    EXPECT_EQ(call.out[1], -kInfinity);
    kernels.average_pool(call.shape, call.args);
    EXPECT_TRUE(std::isnan(call.out[0]));  // infinity minus infinity
    EXPECT_EQ(call.out[1], -kInfinity);
    EXPECT_TRUE(std::isnan(call.out[15]));
  }
}

}  // namespace
}  // namespace tfprune
