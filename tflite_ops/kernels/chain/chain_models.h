// SPDX-License-Identifier: Apache-2.0
// Chains for tests: built layer by layer, and computed a second time from the reference kernels on whole NHWC tensors.
#ifndef TFPRUNE_KERNELS_CHAIN_CHAIN_MODELS_H_
#define TFPRUNE_KERNELS_CHAIN_CHAIN_MODELS_H_

#include <gtest/gtest.h>
#include <math.h>

#include <deque>
#include <random>
#include <string>
#include <vector>

#include "tflite_ops/kernels/chain/chain.h"
#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {

// Rows and columns of zeros round an image, as TFLite's SAME, VALID and a folded PAD give them.
struct Pads {
  uint32_t top = 0, bottom = 0, left = 0, right = 0;
};

struct Window {
  uint32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;

  uint32_t ExtentH() const { return (kernel_h - 1) * dilation_h + 1; }
  uint32_t ExtentW() const { return (kernel_w - 1) * dilation_w + 1; }
  Pads Same(const TensorSpec& in) const {
    Pads pads;
    SameAxis(in.height, ExtentH(), stride_h, &pads.top, &pads.bottom);
    SameAxis(in.width, ExtentW(), stride_w, &pads.left, &pads.right);
    return pads;
  }

 private:
  static void SameAxis(uint32_t size, uint32_t extent, uint32_t stride, uint32_t* before, uint32_t* behind) {
    const uint32_t reach = ((size + stride - 1) / stride - 1) * stride + extent;
    const uint32_t zeros = reach > size ? reach - size : 0;
    *before = zeros / 2;
    *behind = zeros - zeros / 2;
  }
};

struct Clamp {
  float low = -INFINITY, high = INFINITY;
};
constexpr Clamp kClamps[] = {{-INFINITY, INFINITY}, {0.0f, INFINITY}, {0.0f, 6.0f}, {-1.0f, 1.0f}};

class ChainModel {
 public:
  explicit ChainModel(uint32_t seed) : random_(seed) {}

  uint32_t Import(const TensorSpec& spec) {
    const uint32_t tensor = AddTensor(spec);
    StageSpec stage;
    stage.kind = StageKind::kImport;
    stage.output = tensor;
    stage.external = static_cast<uint32_t>(inputs.size());
    inputs.push_back(tensor);
    stages.push_back(stage);
    return tensor;
  }

  void Export(uint32_t tensor) { Leave(StageKind::kExport, tensor); }
  void Mean(uint32_t tensor) { Leave(StageKind::kMean, tensor); }

  uint32_t Conv(uint32_t in, uint32_t channels, const Window& window, const Pads& pads) {
    const bool linear = Chance(2), six = Chance(2);
    StageSpec stage = ConvStage(in, channels, window, pads, linear, six);
    return AddStage(stage, {stage.shape.out.height, stage.shape.out.width, channels});
  }
  uint32_t Pointwise(uint32_t in, uint32_t channels) { return Conv(in, channels, Window(), Pads()); }

  // A pointwise convolution that adds `other` by itself.
  uint32_t PointwiseAdd(uint32_t in, uint32_t other) {
    StageSpec stage = ConvStage(in, tensors[other].channels, Window(), Pads(), true, false);
    stage.adds = true;
    stage.inputs[1] = other;
    SetClamp(&stage);
    return AddStage(stage, tensors[other]);
  }

  uint32_t Depthwise(uint32_t in, uint32_t multiplier, const Window& window, const Pads& pads) {
    StageSpec stage = WindowStage(StageKind::kDepthwise, in, window, pads);
    const uint32_t channels = tensors[in].channels * multiplier, taps = window.kernel_h * window.kernel_w;
    stage.weights = Values(size_t{taps} * channels, 2.0f / sqrtf(static_cast<float>(taps)));
    stage.bias = Chance(4) ? nullptr : Values(channels, 1.0f);
    SetClamp(&stage);
    return AddStage(stage, {stage.shape.out.height, stage.shape.out.width, channels});
  }

  uint32_t Pool(StageKind kind, uint32_t in, const Window& window, const Pads& pads) {
    StageSpec stage = WindowStage(kind, in, window, pads);
    SetClamp(&stage);
    return AddStage(stage, {stage.shape.out.height, stage.shape.out.width, tensors[in].channels});
  }

  uint32_t Add(uint32_t a, uint32_t b) {
    StageSpec stage;
    stage.kind = StageKind::kAdd;
    stage.inputs[0] = a;
    stage.inputs[1] = b;
    SetClamp(&stage);
    return AddStage(stage, tensors[a]);
  }

  ChainSpec Spec() const {
    return {tensors.data(), static_cast<uint32_t>(tensors.size()), stages.data(), static_cast<uint32_t>(stages.size())};
  }

  bool Chance(uint32_t of) { return random_() % of == 0; }
  uint32_t Below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }
  std::mt19937* random() { return &random_; }

  size_t ValuesOf(uint32_t tensor) const {
    return size_t{tensors[tensor].height} * tensors[tensor].width * tensors[tensor].channels;
  }
  size_t OutputValues(uint32_t output) const {
    const StageSpec& stage = OutputStage(output);
    return stage.kind == StageKind::kMean ? tensors[stage.inputs[0]].channels : ValuesOf(stage.inputs[0]);
  }

  // The outputs of `batch` images by the reference kernels.
  std::vector<std::vector<float>> Reference(const std::vector<std::vector<float>>& x, uint32_t batch) const;

  std::string Describe() const;

  std::vector<TensorSpec> tensors;
  std::vector<StageSpec> stages;
  std::vector<uint32_t> inputs;
  uint32_t outputs = 0;

 private:
  uint32_t AddTensor(const TensorSpec& spec) {
    tensors.push_back(spec);
    return static_cast<uint32_t>(tensors.size() - 1);
  }

  uint32_t AddStage(StageSpec stage, const TensorSpec& out) {
    stage.output = AddTensor(out);
    stages.push_back(stage);
    return stage.output;
  }

  void Leave(StageKind kind, uint32_t tensor) {
    StageSpec stage;
    stage.kind = kind;
    stage.inputs[0] = tensor;
    stage.external = outputs++;
    if (kind == StageKind::kMean) SetClamp(&stage);
    stages.push_back(stage);
  }

  StageSpec ConvStage(uint32_t in, uint32_t channels, const Window& window, const Pads& pads, bool linear, bool six) {
    PackedSpec spec;
    constexpr Encoding kEncodings[] = {Encoding::kRowBand, Encoding::kSlidingRow, Encoding::kBlockRows,
                                       Encoding::kBlockColumns};
    spec.encoding = kEncodings[Below(4)];
    spec.group_rows = spec.encoding == Encoding::kBlockColumns ? 1 : 1 + Below(channels < 8 ? channels : 8);
    spec.band_rows = 1 + Below(40);
    spec.out_channels = channels;
    spec.in_channels = tensors[in].channels;
    spec.kernel_h = window.kernel_h;
    spec.kernel_w = window.kernel_w;
    spec.stride_h = window.stride_h;
    spec.stride_w = window.stride_w;
    spec.dilation_h = window.dilation_h;
    spec.dilation_w = window.dilation_w;
    spec.activation = linear      ? Activation::kNone
                      : Chance(5) ? Activation::kReluN1To1
                      : six       ? Activation::kRelu6
                                  : Activation::kRelu;
    bytes_.push_back(BuildPacked(spec, &random_).bytes);
    packed_.emplace_back();
    EXPECT_TRUE(ReadPackedWeights(bytes_.back().data(), bytes_.back().size(), &packed_.back()).ok());
    // Values of all layers should have about the same size, so that one tolerance fits all.
    float* values = const_cast<float*>(packed_.back().values);
    const float scale = 2.0f / sqrtf(0.3f * static_cast<float>(packed_.back().columns()) + 1.0f);
    for (uint32_t i = 0; i < packed_.back().value_count; ++i) values[i] *= scale;
    StageSpec stage = WindowStage(StageKind::kConv, in, window, pads);
    stage.packed = &packed_.back();
    stage.bias = Chance(4) ? nullptr : Values(channels, 1.0f);
    return stage;
  }

  StageSpec WindowStage(StageKind kind, uint32_t in, const Window& w, const Pads& pads) const {
    const TensorSpec& x = tensors[in];
    StageSpec stage;
    stage.kind = kind;
    stage.inputs[0] = in;
    const uint32_t height = (x.height + pads.top + pads.bottom - w.ExtentH()) / w.stride_h + 1;
    const uint32_t width = (x.width + pads.left + pads.right - w.ExtentW()) / w.stride_w + 1;
    stage.shape = {{1, x.height, x.width}, {1, height, width}, pads.top, pads.left};
    stage.kernel_h = w.kernel_h;
    stage.kernel_w = w.kernel_w;
    stage.stride_h = w.stride_h;
    stage.stride_w = w.stride_w;
    stage.dilation_h = w.dilation_h;
    stage.dilation_w = w.dilation_w;
    return stage;
  }

  void SetClamp(StageSpec* stage) {
    const Clamp& clamp = kClamps[Below(4)];
    stage->low = clamp.low;
    stage->high = clamp.high;
  }

  const float* Values(size_t count, float size) {
    std::uniform_real_distribution<float> value(-size, size);
    values_.emplace_back(count);
    for (float& one : values_.back()) one = value(random_);
    return values_.back().data();
  }

  const StageSpec& OutputStage(uint32_t output) const {
    for (const StageSpec& stage : stages) {
      const bool leaves = stage.kind == StageKind::kExport || stage.kind == StageKind::kMean;
      if (leaves && stage.external == output) return stage;
    }
    return stages.back();
  }

  std::mt19937 random_;
  std::deque<std::vector<uint8_t>> bytes_;
  std::deque<PackedWeights> packed_;
  std::deque<std::vector<float>> values_;
};

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_CHAIN_CHAIN_MODELS_H_
