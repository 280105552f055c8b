// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/tasks/conv.h"

#include "tflite_ops/gpu/tasks/run_task.h"
#include "tflite_ops/testing/guarded_packed.h"
#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {
namespace {

// The formula of kernels/conv.cl in double, with dense weights [out, taps, in].
std::vector<double> Reference(const ConvSpec& spec, const std::vector<float>& weights, const std::vector<Image>& inputs,
                              std::vector<double>* magnitude) {
  const Image& x = inputs[0];
  const Window& w = spec.window;
  std::vector<double> y;
  for (uint32_t n = 0; n < spec.out.batch; ++n) {
    for (uint32_t oy = 0; oy < spec.out.height; ++oy) {
      for (uint32_t ox = 0; ox < spec.out.width; ++ox) {
        for (uint32_t r = 0; r < spec.out.channels; ++r) {
          double sum = spec.bias == nullptr ? 0.0 : spec.bias[r], size = fabs(sum);
          for (uint32_t tap = 0; tap < w.taps(); ++tap) {
            const int64_t iy = int64_t{oy} * w.stride_h + tap / w.kernel_w * w.dilation_h - w.pad_top;
            const int64_t ix = int64_t{ox} * w.stride_w + tap % w.kernel_w * w.dilation_w - w.pad_left;
            for (uint32_t c = 0; c < spec.in.channels; ++c) {
              const double term = weights[(size_t{r} * w.taps() + tap) * spec.in.channels + c] * x.Padded(n, iy, ix, c);
              sum += term;
              size += fabs(term);
            }
          }
          if (spec.adds) sum += inputs[1].at(n, oy, ox, r);
          y.push_back(Clamped(sum, spec.bounds));
          magnitude->push_back(size);
        }
      }
    }
  }
  return y;
}

struct Case {
  ImageShape in;
  Window window;
  bool same = true;
  uint32_t out_channels = 1, seed = 1;
};

// A layer with random input, and bias, bounds and addend by turns.
struct Layer {
  ConvSpec spec;
  std::vector<Image> inputs;
  std::vector<float> bias;
  std::string where;

  Layer(const Case& test, Storage storage, bool may_add = true) {
    spec.in = test.in;
    spec.window = test.window;
    spec.out = PlaceWindow(test.in, test.same, test.out_channels, &spec.window);
    inputs.push_back(RandomImage(test.in, test.seed));
    spec.adds = may_add && test.seed % 3 == 0;
    if (spec.adds) inputs.push_back(RandomImage(spec.out, test.seed + 1000));
    for (Image& input : inputs) Store(storage, &input.values);
    bias = RandomValues(test.out_channels, test.seed + 1);
    if (test.seed % 4 != 0) spec.bias = bias.data();
    if (test.seed % 2 == 0) spec.bounds = {0.0f, test.seed % 4 == 0 ? INFINITY : 6.0f};
    where = Name(spec.in) + " to " + Name(spec.out) + " kernel " + std::to_string(spec.window.kernel_h) + "x" +
            std::to_string(spec.window.kernel_w) + (storage == Storage::kFloat16 ? " half" : " float") + " seed " +
            std::to_string(test.seed);
  }

  void Check(const Task& task, Storage storage, const std::vector<float>& weights) const {
    std::vector<double> magnitude;
    const std::vector<double> expected = Reference(spec, weights, inputs, &magnitude);
    ExpectNear(RunTask(task, storage, inputs, spec.out), expected, magnitude, storage, where);
  }
};

void CheckDense(const Case& test, Storage storage, const DeviceFacts& facts) {
  const Layer layer(test, storage);
  std::vector<float> weights =
      RandomValues(size_t{test.out_channels} * test.window.taps() * test.in.channels, test.seed + 2);
  Store(storage, &weights);
  Task task;
  ASSERT_OK(MakeConv(facts, storage, layer.spec, weights.data(), &task));
  layer.Check(task, storage, weights);
}
void CheckDense(const Case& test, Storage storage) { CheckDense(test, storage, TestDevice::Get().device().facts); }

void CheckSparse(const Case& test, uint32_t rows, uint32_t cols, double density, Storage storage,
                 ValueType type = ValueType::kFloat16, Encoding encoding = Encoding::kRowBand) {
  PackedSpec packed_spec;
  packed_spec.encoding = encoding;
  packed_spec.out_channels = test.out_channels;
  packed_spec.kernel_h = test.window.kernel_h;
  packed_spec.kernel_w = test.window.kernel_w;
  packed_spec.in_channels = test.in.channels;
  packed_spec.group_rows = rows;
  packed_spec.group_cols = cols;
  packed_spec.density = density;
  packed_spec.value_type = type;
  std::mt19937 random(test.seed);
  const Packed packed = BuildPacked(packed_spec, &random);
  GuardedPacked guarded(packed.bytes);
  ASSERT_TRUE(guarded.status.ok()) << guarded.status.message;
  const Layer layer(test, storage);
  Task task;
  ASSERT_OK(MakeSparseConv(TestDevice::Get().device().facts, storage, layer.spec, guarded.weights, &task));
  SCOPED_TRACE(packed_spec.Name());
  layer.Check(task, storage, packed.dense);
}

constexpr uint32_t kChannelSizes[] = {1, 3, 4, 5, 8, 9, 17, 70};

TEST(Conv, DenseOverChannelsAndPixels) {
  uint32_t seed = 1;
  for (const uint32_t channels : kChannelSizes) {
    for (const ImageShape& in : {ImageShape{1, 1, 1, 17},
                                 {2, 1, 1, 3},
                                 {1, 1, 2, 5},
                                 {2, 2, 2, 4},
                                 {1, 3, 5, 9},
                                 {3, 7, 7, 16},
                                 {1, 16, 17, 2}}) {
      for (const Storage storage : kStorages) {
        CheckDense({in, {}, true, channels, seed++}, storage);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(Conv, DenseOverWindows) {
  for (const Storage storage : kStorages) {
    ForEachPlacedWindow(5, true, [&](const ImageShape& in, const Window& window, bool same, uint32_t seed) {
      CheckDense({in, window, same, 1 + seed % 11, seed}, storage);
    });
  }
}

// A device with one slow unit gets eight channels a work-item, one with many gets four.
TEST(Conv, DenseRowsFollowTheDevice) {
  DeviceFacts facts = TestDevice::Get().device().facts;
  Window window;
  window.kernel_h = window.kernel_w = 3;
  for (const uint32_t units : {1u, 1000u}) {
    facts.compute_units = units;
    const Case test = {{1, 16, 18, 6}, window, true, 19, 5};
    const Layer layer(test, Storage::kFloat32);
    Task task;
    const std::vector<float> weights(19 * 9 * 6);
    ASSERT_OK(MakeConv(facts, Storage::kFloat32, layer.spec, weights.data(), &task));
    EXPECT_NE(strstr(task.options, units == 1 ? "-D ROWS=8" : "-D ROWS=4"), nullptr) << task.options;
    CheckDense(test, Storage::kFloat32, facts);
  }
}

TEST(Conv, SparseOverGroupsAndChannels) {
  uint32_t seed = 1;
  // Every number of rows is a program of its own, which takes long to compile: half storage has some of them.
  for (const uint32_t rows : {1u, 3u, 4u, 9u, 24u}) {
    for (const uint32_t channels : kChannelSizes) {
      if (channels < rows) continue;
      for (const Storage storage : kStorages) {
        if (storage == Storage::kFloat16 && rows != 4 && rows != 9) continue;
        const ImageShape in = {1 + seed % 2, 1 + seed % 5, 1 + seed * 7 % 11, kChannelSizes[seed % 8]};
        CheckSparse({in, {}, true, channels, seed}, rows, std::min(1 + seed % 4, in.channels), 0.4, storage);
        if (HasFatalFailure()) return;
        ++seed;
      }
    }
  }
}

TEST(Conv, SparseOverWindows) {
  for (const Storage storage : kStorages) {
    ForEachPlacedWindow(6, true, [&](const ImageShape& in, const Window& window, bool same, uint32_t seed) {
      // Groups of several columns may lie across two kernel positions.
      CheckSparse({in, window, same, 9 + seed % 5, seed}, seed % 2 == 0 ? 4 : 9, 1 + seed % 5, 0.4, storage);
    });
  }
}

TEST(Conv, SparseFromNothingToEverything) {
  uint32_t seed = 1;
  Window window;
  window.kernel_h = window.kernel_w = 3;
  for (const double density : {0.0, 0.05, 1.0}) {
    for (const ImageShape& in : {ImageShape{1, 1, 1, 40}, {1, 6, 6, 12}}) {
      for (const Storage storage : kStorages) {
        CheckSparse({in, in.pixels() == 1 ? Window() : window, true, 16, seed++}, 4, 1, density, storage);
        CheckSparse({in, in.pixels() == 1 ? Window() : window, true, 16, seed++}, 4, 1, density, storage,
                    storage == Storage::kFloat32 ? ValueType::kFloat32 : ValueType::kFloat16);
      }
    }
  }
}

TEST(Conv, SlidingOverGroupsAndChannels) {
  uint32_t seed = 1;
  for (const uint32_t rows : {1u, 4u, 11u, 16u}) {
    for (const uint32_t channels : {1u, 4u, 8u, 9u, 11u, 16u, 17u, 70u}) {
      if (channels < rows) continue;
      for (const Storage storage : kStorages) {
        if (storage == Storage::kFloat16 && rows != 4) continue;
        const ImageShape in = {1 + seed % 2, 1 + seed % 5, 1 + seed * 7 % 11, kChannelSizes[seed % 8]};
        CheckSparse({in, {}, true, channels, seed}, rows, std::min(1 + seed % 4, in.channels), 0.6, storage,
                    storage == Storage::kFloat32 && seed % 2 == 0 ? ValueType::kFloat32 : ValueType::kFloat16,
                    Encoding::kSlidingRow);
        if (HasFatalFailure()) return;
        ++seed;
      }
    }
  }
}

TEST(Conv, SlidingOverWindows) {
  for (const Storage storage : kStorages) {
    ForEachPlacedWindow(6, true, [&](const ImageShape& in, const Window& window, bool same, uint32_t seed) {
      CheckSparse({in, window, same, 9 + seed % 9, seed}, 4, 1 + seed % 5, 0.6, storage, ValueType::kFloat16,
                  Encoding::kSlidingRow);
    });
  }
}

TEST(Conv, SlidingFromNothingToEverything) {
  for (const double density : {0.0, 0.05, 4.0}) {
    CheckSparse({{1, 6, 6, 12}, {}, true, 21, 4}, 4, 1, density, Storage::kFloat32, ValueType::kFloat16,
                Encoding::kSlidingRow);
  }
}

TEST(Conv, NanGoesThroughBounds) {
  ConvSpec spec;
  spec.in = spec.out = {1, 1, 5, 1};
  spec.bounds = {0.0f, 6.0f};
  const float weight = 1.0f;
  const Image x = {spec.in, {NAN, -1.0f, 7.0f, INFINITY, 3.0f}};
  Task task;
  ASSERT_OK(MakeConv(TestDevice::Get().device().facts, Storage::kFloat32, spec, &weight, &task));
  const Image y = RunTask(task, Storage::kFloat32, {x}, spec.out);
  EXPECT_TRUE(std::isnan(y.values[0]));
  EXPECT_EQ(std::vector<float>(y.values.begin() + 1, y.values.end()), (std::vector<float>{0.0f, 6.0f, 6.0f, 3.0f}));
}

TEST(Conv, WhatDoesNotFitIsRefused) {
  const DeviceFacts facts;
  const float weight = 1.0f;
  ConvSpec spec;
  spec.in = {1, 4, 4, 1};
  spec.out = {2, 4, 4, 1};
  Task task;
  EXPECT_STREQ(MakeConv(facts, Storage::kFloat32, spec, &weight, &task).message,
               "gpu convolution: the input has 1 images, the output 2");
  spec.out.batch = 1;
  spec.window.pad_left = 1;
  EXPECT_STREQ(MakeConv(facts, Storage::kFloat32, spec, &weight, &task).message,
               "gpu convolution: a padding of 1 columns is larger than a kernel that reaches over 1 can use");
  spec.window.pad_left = 0;
  spec.window.stride_h = 0;
  EXPECT_STREQ(MakeConv(facts, Storage::kFloat32, spec, &weight, &task).message,
               "gpu convolution: kernel, stride and dilation of rows must be at least 1");
  spec.window.stride_h = 1u << 30;
  EXPECT_STREQ(MakeConv(facts, Storage::kFloat32, spec, &weight, &task).message,
               "gpu convolution: the kernel reaches over 2^31 rows or more");
}

TEST(Conv, PackedWeightsWithoutKernelAreRefused) {
  ConvSpec spec;
  spec.in = {1, 2, 2, 8};
  spec.out = {1, 2, 2, 12};
  PackedSpec packed_spec;
  packed_spec.out_channels = 12;
  packed_spec.in_channels = 8;
  const auto make = [&] {
    std::mt19937 random(1);
    const Packed packed = BuildPacked(packed_spec, &random);
    GuardedPacked guarded(packed.bytes);
    EXPECT_TRUE(guarded.status.ok()) << guarded.status.message;
    Task task;
    return MakeSparseConv(DeviceFacts(), Storage::kFloat32, spec, guarded.weights, &task);
  };
  EXPECT_TRUE(make().ok());
  packed_spec.encoding = Encoding::kSlidingRow;
  EXPECT_TRUE(make().ok());
  packed_spec.encoding = Encoding::kBlockRows;
  EXPECT_STREQ(make().message, "gpu convolution: the encodings in blocks have no kernel");
  packed_spec.encoding = Encoding::kRowBand;
  packed_spec.value_type = ValueType::kInt8;
  EXPECT_STREQ(make().message, "gpu convolution: weights must be float32 or float16, got integers");
  packed_spec.value_type = ValueType::kFloat32;
  packed_spec.in_channels = 7;
  EXPECT_STREQ(make().message, "gpu convolution: packed weights are [12, 1, 1, 7], the layer wants [12, 1, 1, 8]");
  packed_spec.in_channels = spec.in.channels = 65537;
  packed_spec.density = 0.001;
  EXPECT_STREQ(make().message, "gpu convolution: pruned weights have at most 65536 input channels, got 65537");
}

}  // namespace
}  // namespace tfprune
