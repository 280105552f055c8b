// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/chain/chain_models.h"

#include <gtest/gtest.h>

namespace tfprune {
namespace {

using Image = std::vector<float>;

// [pixels, channels] to [channels, pixels] or, with the two numbers exchanged, back.
Image Transposed(const Image& x, size_t rows, size_t columns) {
  Image y(x.size());
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < columns; ++c) y[c * rows + r] = x[r * columns + c];
  }
  return y;
}

Image ReferenceDepthwiseImage(const StageSpec& stage, const TensorSpec& in, const TensorSpec& out, const Image& x) {
  const ConvShape& s = stage.shape;
  const DepthwiseShape shape = {in.height,        in.width,         out.height,     out.width,
                                stage.kernel_h,   stage.kernel_w,   stage.stride_h, stage.stride_w,
                                stage.dilation_h, stage.dilation_w, s.pad_top,      s.pad_left};
  const Image planes = Transposed(x, size_t{in.height} * in.width, in.channels);
  const uint32_t multiplier = out.channels / in.channels, taps = stage.kernel_h * stage.kernel_w;
  Image y(size_t{out.height} * out.width * out.channels), weights(taps);
  std::vector<const float*> rows(in.height);
  for (uint32_t c = 0; c < out.channels; ++c) {
    for (uint32_t tap = 0; tap < taps; ++tap) weights[tap] = stage.weights[size_t{tap} * out.channels + c];
    for (uint32_t r = 0; r < in.height; ++r) {
      rows[r] = planes.data() + (size_t{c / multiplier} * in.height + r) * in.width;
    }
    DepthwiseArgs args = {};
    args.channels = 1;
    args.rows = rows.data();
    args.in_count = in.height;
    args.out = y.data() + size_t{c} * out.height * out.width;
    args.out_count = out.height;
    args.weights = weights.data();
    args.bias = stage.bias == nullptr ? nullptr : stage.bias + c;
    args.low = stage.low;
    args.high = stage.high;
    ReferenceDepthwise(shape, args);
  }
  return Transposed(y, out.channels, size_t{out.height} * out.width);
}

Image ReferencePoolImage(const StageSpec& stage, const TensorSpec& in, const TensorSpec& out, const Image& x) {
  const size_t in_pixels = size_t{in.height} * in.width, out_pixels = size_t{out.height} * out.width;
  const PoolShape shape = {in.height,      in.width,       out.height,     out.width,           stage.kernel_h,
                           stage.kernel_w, stage.stride_h, stage.stride_w, stage.shape.pad_top, stage.shape.pad_left};
  const Image planes = Transposed(x, in_pixels, in.channels);
  Image y(out_pixels * out.channels), scratch(PoolScratchFloats(shape));
  PoolArgs args = {};
  args.channels = in.channels;
  args.in = planes.data();
  args.in_stride = in_pixels;
  args.in_count = in.height;
  args.out = y.data();
  args.out_stride = out_pixels;
  args.out_count = out.height;
  args.low = stage.low;
  args.high = stage.high;
  args.scratch = scratch.data();
  const PlaneKernels kernels = ReferencePlaneKernels();
  (stage.kind == StageKind::kMaxPool ? kernels.max_pool : kernels.average_pool)(shape, args);
  return Transposed(y, out.channels, out_pixels);
}

Image ReferenceStage(const StageSpec& stage, const TensorSpec& in, const TensorSpec& out, const Image& x,
                     const Image& second) {
  Image y(size_t{out.height} * out.width * out.channels);
  switch (stage.kind) {
    case StageKind::kConv:
      ReferenceConv2D(*stage.packed, stage.shape, x.data(), stage.bias, y.data());
      return y;
    case StageKind::kDepthwise:
      return ReferenceDepthwiseImage(stage, in, out, x);
    case StageKind::kAveragePool:
    case StageKind::kMaxPool:
      return ReferencePoolImage(stage, in, out, x);
    case StageKind::kAdd:
      ReferencePlaneKernels().add(x.data(), second.data(), x.size(), stage.low, stage.high, y.data());
      return y;
    default:
      return x;
  }
}

}  // namespace

std::vector<std::vector<float>> ChainModel::Reference(const std::vector<std::vector<float>>& x, uint32_t batch) const {
  std::vector<std::vector<float>> results(outputs);
  for (uint32_t n = 0; n < batch; ++n) {
    std::vector<Image> images(tensors.size());
    for (const StageSpec& stage : stages) {
      if (stage.kind == StageKind::kImport) {
        const auto first = x[stage.external].begin() + static_cast<ptrdiff_t>(n * ValuesOf(stage.output));
        images[stage.output].assign(first, first + static_cast<ptrdiff_t>(ValuesOf(stage.output)));
        continue;
      }
      const TensorSpec& in = tensors[stage.inputs[0]];
      const Image& image = images[stage.inputs[0]];
      Image y;
      if (stage.kind == StageKind::kMean) {
        const size_t pixels = size_t{in.height} * in.width;
        y.resize(in.channels);
        const Image planes = Transposed(image, pixels, in.channels);
        ReferencePlaneKernels().mean(planes.data(), pixels, pixels, in.channels, stage.low, stage.high, y.data());
      } else {
        y = ReferenceStage(stage, in, tensors[stage.output], image, images[stage.inputs[1]]);
      }
      const bool leaves = stage.kind == StageKind::kExport || stage.kind == StageKind::kMean;
      if (leaves) {
        results[stage.external].insert(results[stage.external].end(), y.begin(), y.end());
      } else {
        images[stage.output] = y;
      }
    }
  }
  return results;
}

std::string ChainModel::Describe() const {
  static const char* const kNames[] = {"import", "conv", "depthwise", "add", "average", "max", "mean", "export"};
  std::string text;
  for (const StageSpec& s : stages) {
    const bool writes = s.kind != StageKind::kMean && s.kind != StageKind::kExport;
    const TensorSpec& t = tensors[writes ? s.output : s.inputs[0]];
    text += std::string(kNames[static_cast<int>(s.kind)]) + " k" + std::to_string(s.kernel_h) + "x" +
            std::to_string(s.kernel_w) + " s" + std::to_string(s.stride_h) + std::to_string(s.stride_w) + " d" +
            std::to_string(s.dilation_h) + std::to_string(s.dilation_w) + " p" + std::to_string(s.shape.pad_top) + "," +
            std::to_string(s.shape.pad_left) + " -> " + std::to_string(t.height) + "x" + std::to_string(t.width) + "x" +
            std::to_string(t.channels) + "; ";
  }
  return text;
}

}  // namespace tfprune
