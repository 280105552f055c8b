// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/depthwise/depthwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tflite_ops/testing/guarded.h"

namespace tfprune {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

constexpr Arch kArchs[] = {
#define TFPRUNE_ISA(name, value) Arch::value,
#include "tflite_ops/kernels/simd/isa.inc"
#undef TFPRUNE_ISA
};

// TFLite's SAME padding, or VALID where `same` is false.
DepthwiseShape MakeShape(uint32_t height, uint32_t width, uint32_t kernel, uint32_t stride, uint32_t dilation = 1,
                         bool same = true) {
  const uint32_t extent = (kernel - 1) * dilation + 1;
  const auto out = [&](uint32_t in) { return same ? (in + stride - 1) / stride : (in - extent) / stride + 1; };
  const auto pad = [&](uint32_t in) {
    const int64_t total = int64_t{out(in) - 1} * stride + extent - in;
    return same && total > 0 ? static_cast<uint32_t>(total / 2) : 0u;
  };
  return {height, width,  out(height), out(width), kernel,      kernel,
          stride, stride, dilation,    dilation,   pad(height), pad(width)};
}

std::string Describe(const DepthwiseShape& s) {
  return std::to_string(s.in_height) + "x" + std::to_string(s.in_width) + " to " + std::to_string(s.out_height) + "x" +
         std::to_string(s.out_width) + " k" + std::to_string(s.kernel_h) + "x" + std::to_string(s.kernel_w) + " s" +
         std::to_string(s.stride_h) + std::to_string(s.stride_w) + " d" + std::to_string(s.dilation_h) +
         std::to_string(s.dilation_w) + " p" + std::to_string(s.pad_top) + std::to_string(s.pad_left);
}

// One call's data. Everything outside the input rows is NaN, as far as a kernel may read, then comes an unmapped page;
// behind the output comes the room that a kernel may overwrite, then an unmapped page.
struct Call {
  DepthwiseShape shape;
  DepthwiseArgs args;
  Guarded<float> in, out, weights, bias, scratch;
  std::vector<const float*> in_rows;
  std::vector<float> expected, bound;  // the reference's answer, and how far rounding may move it

  static size_t InputFloats(const DepthwiseShape& s, uint32_t rows, uint32_t channels) {
    return kDepthwiseReach + channels * (size_t{rows} * s.in_width + kDepthwiseReach);
  }

  Call(const DepthwiseShape& s, uint32_t channels, uint32_t out_first, uint32_t out_count, std::mt19937* random)
      : Call(s, channels, out_first, out_count, RowsRead(s, out_first, out_count), random) {}

  Call(const DepthwiseShape& s, uint32_t channels, uint32_t out_first, uint32_t out_count,
       std::pair<uint32_t, uint32_t> rows, std::mt19937* random)
      : shape(s),
        in(InputFloats(s, rows.second, channels)),
        out(channels * size_t{out_count} * s.out_width + kMaxLanes - 1),
        weights(size_t{channels} * s.kernel_h * s.kernel_w),
        bias(channels),
        scratch(DepthwiseScratchFloats(s)) {
    const size_t plane = size_t{rows.second} * s.in_width;
    in_rows = RowsAt(in.data(), s, rows.second);
    args = {channels,
            in_rows.data(),
            plane + kDepthwiseReach,
            rows.first,
            rows.second,
            out.data(),
            size_t{out_count} * s.out_width,
            out_first,
            out_count,
            weights.data(),
            bias.data(),
            -kInfinity,
            kInfinity,
            scratch.data()};
    std::uniform_real_distribution<float> value(-1.0f, 1.0f);
    for (size_t i = 0; i < in.size(); ++i) in[i] = std::nanf("");
    for (uint32_t c = 0; c < channels; ++c) {
      for (size_t i = 0; i < plane; ++i) in[kDepthwiseReach + c * args.in_stride + i] = value(*random);
    }
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = value(*random);
    for (size_t i = 0; i < bias.size(); ++i) bias[i] = value(*random);
    for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = std::nanf("");
  }

  static std::vector<const float*> RowsAt(const float* in, const DepthwiseShape& s, uint32_t count) {
    std::vector<const float*> rows;
    for (uint32_t r = 0; r < count; ++r) rows.push_back(in + kDepthwiseReach + size_t{r} * s.in_width);
    return rows;
  }

  // First and number of the input rows that these output rows read.
  static std::pair<uint32_t, uint32_t> RowsRead(const DepthwiseShape& s, uint32_t out_first, uint32_t out_count) {
    const int64_t first = int64_t{out_first} * s.stride_h - s.pad_top;
    const int64_t last =
        int64_t{out_first + out_count - 1} * s.stride_h + int64_t{s.kernel_h - 1} * s.dilation_h - s.pad_top;
    const int64_t begin = std::min<int64_t>(std::max<int64_t>(first, 0), s.in_height);
    const int64_t end = std::max<int64_t>(begin, std::min<int64_t>(last + 1, s.in_height));
    return {static_cast<uint32_t>(begin), static_cast<uint32_t>(end - begin)};
  }

  size_t count() const { return args.channels * args.out_stride; }

  // The bound is the number of terms, in epsilons of the sum of the terms' magnitudes.
  void RunReference() {
    expected.assign(count(), 0.0f);
    DepthwiseArgs reference = args;
    reference.out = expected.data();
    ReferenceDepthwise(shape, reference);
    const auto magnitudes = [](const float* from, size_t count) {
      std::vector<float> result(count);
      for (size_t i = 0; i < count; ++i) result[i] = std::fabs(from[i]);
      return result;
    };
    const std::vector<float> in_size = magnitudes(in.data(), in.size()),
                             weights_size = magnitudes(weights.data(), weights.size()),
                             bias_size = magnitudes(bias.data(), bias.size());
    bound.assign(count(), 0.0f);
    const std::vector<const float*> size_rows = RowsAt(in_size.data(), shape, args.in_count);
    reference.rows = size_rows.data();
    reference.weights = weights_size.data();
    reference.bias = args.bias == nullptr ? nullptr : bias_size.data();
    reference.low = 0.0f;
    reference.high = kInfinity;
    reference.out = bound.data();
    ReferenceDepthwise(shape, reference);
    const float terms = static_cast<float>(shape.kernel_h * shape.kernel_w + 1);
    for (float& one : bound) one = terms * (one * std::numeric_limits<float>::epsilon() + 1e-44f);
  }

  void Check(Arch arch) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = -77.0f;
    GetDepthwiseKernel(arch, shape).run(shape, args);
    for (size_t i = 0; i < count(); ++i) {
      if (std::isnan(expected[i])) {
        ASSERT_TRUE(std::isnan(out[i])) << Describe(shape) << " " << ArchName(arch) << " at " << i;
      } else if (std::isinf(expected[i])) {
        ASSERT_EQ(out[i], expected[i]) << Describe(shape) << " " << ArchName(arch) << " at " << i;
      } else {
        ASSERT_NEAR(out[i], expected[i], bound[i])
            << Describe(shape) << " " << ArchName(arch) << " rows from " << args.out_first << " at " << i;
      }
    }
  }

  void CheckAll() {
    RunReference();
    for (const Arch arch : kArchs) {
      if (IsSupported(arch)) Check(arch);
    }
  }
};

std::vector<DepthwiseShape> AllShapes() {
  std::vector<DepthwiseShape> shapes;
  for (const uint32_t kernel : {1u, 2u, 3u, 4u, 5u, 7u}) {
    for (const uint32_t stride : {1u, 2u, 3u}) {
      for (const uint32_t width : {1u,  2u,  3u,  4u,  5u,  7u,  8u,  9u,  13u, 14u, 15u, 16u, 17u,
                                   18u, 19u, 28u, 31u, 32u, 33u, 34u, 35u, 56u, 63u, 64u, 65u, 67u}) {
        shapes.push_back(MakeShape(9, width, kernel, stride));
        if (width >= kernel) shapes.push_back(MakeShape(9, width, kernel, stride, 1, false));
      }
    }
  }
  for (const uint32_t width : {5u, 16u, 29u}) {
    shapes.push_back(MakeShape(11, width, 3, 1, 2));
    shapes.push_back(MakeShape(11, width, 3, 2, 3));
    shapes.push_back(MakeShape(11, width, 5, 1, 2));
  }
  shapes.push_back(MakeShape(6, 500, 3, 1));  // wider than the row of zeros
  shapes.push_back(MakeShape(6, 901, 5, 2));
  for (const uint32_t height : {1u, 2u, 3u, 8u, 14u, 15u, 23u}) shapes.push_back(MakeShape(height, 7, 3, 1));
  shapes.push_back({9, 12, 9, 6, 1, 3, 1, 2, 1, 1, 0, 1});
  shapes.push_back({9, 12, 4, 12, 5, 3, 2, 1, 1, 1, 1, 1});
  for (const uint32_t pad : {0u, 1u, 2u, 3u, 4u, 6u}) {  // paddings that SAME never asks for
    for (const uint32_t width : {6u, 12u, 20u}) {
      shapes.push_back({9, width, 9, width, 5, 5, 1, 1, 1, 1, pad, pad});
      shapes.push_back({9, width, 5, width / 2, 5, 5, 2, 2, 1, 1, pad, pad});
      shapes.push_back({9, width, 9, width, 3, 3, 1, 1, 1, 1, pad, pad});
      shapes.push_back({9, width, 5, width / 2 + 1, 3, 3, 2, 2, 1, 1, pad, pad});
    }
  }
  return shapes;
}

TEST(Depthwise, EveryShapeAgreesWithTheReference) {
  std::mt19937 random(1);
  for (const DepthwiseShape& shape : AllShapes()) {
    Call call(shape, 3, 0, shape.out_height, &random);
    call.CheckAll();
    if (HasFatalFailure()) return;
  }
}

TEST(Depthwise, AnyRowsGiveTheSameBytes) {
  std::mt19937 random(2);
  for (const uint32_t kernel : {3u, 4u, 5u}) {
    for (const uint32_t stride : {1u, 2u}) {
      for (const uint32_t width : {7u, 14u, 35u}) {
        const DepthwiseShape shape = MakeShape(31, width, kernel, stride);
        Call whole(shape, 1, 0, shape.out_height, &random);
        for (const Arch arch : kArchs) {
          if (!IsSupported(arch)) continue;
          const DepthwiseKernel kernel_of_arch = GetDepthwiseKernel(arch, shape);
          kernel_of_arch.run(shape, whole.args);
          for (uint32_t first = 0; first < shape.out_height; ++first) {
            for (uint32_t count = 1; first + count <= shape.out_height; ++count) {
              const auto rows = Call::RowsRead(shape, first, count);
              Call part(shape, 1, first, count, &random);
              for (size_t i = 0; i < size_t{rows.second} * width; ++i) {
                part.in[kDepthwiseReach + i] = whole.in[kDepthwiseReach + size_t{rows.first} * width + i];
              }
              part.args.weights = whole.weights.data();
              part.args.bias = whole.bias.data();
              kernel_of_arch.run(shape, part.args);
              ASSERT_EQ(memcmp(part.out.data(), whole.out.data() + size_t{first} * shape.out_width,
                               size_t{count} * shape.out_width * sizeof(float)),
                        0)
                  << Describe(shape) << " " << kernel_of_arch.name << " rows " << first << " + " << count;
            }
          }
        }
      }
    }
  }
}

TEST(Depthwise, ClampsAndTakesNoBias) {
  std::mt19937 random(3);
  for (const uint32_t kernel : {2u, 3u, 5u}) {
    for (const uint32_t stride : {1u, 2u}) {
      Call call(MakeShape(9, 21, kernel, stride), 4, 1, 3, &random);
      call.args.bias = nullptr;
      call.args.low = 0.0f;
      call.args.high = 0.25f;
      call.CheckAll();
    }
  }
}

TEST(Depthwise, NanInfinityAndDenormalsBehaveAsInTheFormula) {
  std::mt19937 random(4);
  const float special[] = {std::nanf(""), kInfinity, -kInfinity, 1e-41f, -1e-41f, 0.0f, -0.0f, 1e37f};
  for (const uint32_t kernel : {2u, 3u, 5u}) {
    for (const uint32_t stride : {1u, 2u}) {
      for (const float value : special) {
        Call call(MakeShape(11, 19, kernel, stride), 2, 0, 4, &random);
        for (int i = 0; i < 6; ++i) {
          const size_t place = random() % (size_t{call.args.in_count} * 19);
          call.in[kDepthwiseReach + place] = value;
        }
        call.CheckAll();
        call.args.low = 0.0f;
        call.args.high = 6.0f;
        call.CheckAll();
      }
    }
  }
}

TEST(Depthwise, KernelsAreNamedAfterShapeAndArch) {
  for (const Arch arch : kArchs) {
    const std::string suffix = std::string("/") + ArchName(arch);
    EXPECT_EQ(GetDepthwiseKernel(arch, MakeShape(9, 9, 3, 1)).name, "depthwise_3x3_s1" + suffix);
    EXPECT_EQ(GetDepthwiseKernel(arch, MakeShape(9, 9, 3, 2)).name, "depthwise_3x3_s2" + suffix);
    EXPECT_EQ(GetDepthwiseKernel(arch, MakeShape(9, 9, 5, 1)).name, "depthwise_5x5_s1" + suffix);
    EXPECT_EQ(GetDepthwiseKernel(arch, MakeShape(9, 9, 5, 2)).name, "depthwise_5x5_s2" + suffix);
    EXPECT_EQ(GetDepthwiseKernel(arch, MakeShape(9, 9, 3, 1, 2)).name, "depthwise_any" + suffix);
  }
  EXPECT_EQ(GetDepthwiseKernel(Arch::kReference, MakeShape(9, 9, 3, 1)).run, &ReferenceDepthwise);
}

}  // namespace
}  // namespace tfprune
