// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/chain/random_chains.h"

#include <gtest/gtest.h>

namespace tfprune {
namespace {

// Round the vector widths 4, 8 and 16.
constexpr uint32_t kChannels[] = {1, 3, 4, 5, 8, 15, 16, 17, 24, 33};
constexpr uint32_t kSides[] = {1, 2, 3, 4, 7, 8, 13, 16, 17, 28, 31, 60, 61};

bool SameShape(const TensorSpec& a, const TensorSpec& b) {
  return a.height == b.height && a.width == b.width && a.channels == b.channels;
}

Window RandomWindow(ChainModel* model, bool dilated) {
  Window window;
  window.kernel_h = 1 + model->Below(5);
  window.kernel_w = 1 + model->Below(5);
  window.stride_h = 1 + model->Below(3);
  window.stride_w = 1 + model->Below(3);
  if (model->Chance(2)) window.stride_h = window.stride_w = 1;
  if (dilated && model->Chance(4)) window.dilation_h = 2, window.dilation_w = 1 + model->Below(3);
  return window;
}

// SAME, VALID where the image is large enough, or what a PAD before a VALID layer gives.
Pads RandomPads(ChainModel* model, const Window& window, const TensorSpec& in, bool fold) {
  if (model->Chance(3) && in.height >= window.ExtentH() && in.width >= window.ExtentW()) return Pads();
  if (!fold || model->Chance(2)) return window.Same(in);
  Pads pads;
  pads.top = model->Below(3);
  pads.left = model->Below(3);
  pads.bottom = model->Below(4) + (in.height < window.ExtentH() ? window.ExtentH() - in.height : 0);
  pads.right = model->Below(4) + (in.width < window.ExtentW() ? window.ExtentW() - in.width : 0);
  return pads;
}

// An earlier tensor of the same shape, or the tensor itself.
uint32_t Partner(ChainModel* model, uint32_t x) {
  for (int tries = 0; tries < 20; ++tries) {
    const uint32_t other = model->Below(static_cast<uint32_t>(model->tensors.size()));
    if (SameShape(model->tensors[other], model->tensors[x])) return other;
  }
  return x;
}

uint32_t RandomLayer(ChainModel* model, uint32_t x) {
  const TensorSpec in = model->tensors[x];
  const uint32_t channels = kChannels[model->Below(10)];
  switch (model->Below(8)) {
    case 0:
      return model->Pointwise(x, channels);
    case 1: {
      const Window window = RandomWindow(model, true);
      const bool pointwise = window.kernel_h * window.kernel_w * window.stride_h * window.stride_w == 1;
      return model->Conv(x, channels, window, pointwise ? Pads() : RandomPads(model, window, in, true));
    }
    case 2: {
      const Window window = RandomWindow(model, true);
      const uint32_t multiplier = in.channels <= 17 && model->Chance(4) ? 2 + model->Below(2) : 1;
      return model->Depthwise(x, multiplier, window, RandomPads(model, window, in, true));
    }
    case 3:
      return model->Add(x, Partner(model, x));
    case 4:
    case 5: {
      const Window window = RandomWindow(model, false);
      const StageKind kind = model->Chance(2) ? StageKind::kMaxPool : StageKind::kAveragePool;
      return model->Pool(kind, x, window, RandomPads(model, window, in, false));
    }
    case 6:
      return InvertedResidual(model, x, in.channels > 16 ? 1 : 3, 1 + model->Below(2), 3 + 2 * model->Below(2));
    default:
      return Bottleneck(model, x, channels, 1 + model->Below(2));
  }
}

}  // namespace

uint32_t InvertedResidual(ChainModel* model, uint32_t x, uint32_t expansion, uint32_t stride, uint32_t kernel) {
  const TensorSpec in = model->tensors[x];
  const uint32_t wide = model->Pointwise(x, in.channels * expansion);
  const Window window = {kernel, kernel, stride, stride, 1, 1};
  const uint32_t middle = model->Depthwise(wide, 1, window, window.Same(in));
  const uint32_t y = model->Pointwise(middle, in.channels);
  return stride == 1 ? model->Add(x, y) : y;
}

uint32_t Bottleneck(ChainModel* model, uint32_t x, uint32_t channels, uint32_t stride) {
  const TensorSpec in = model->tensors[x];
  const uint32_t narrow = model->Pointwise(x, 1 + channels / 2);
  const Window window = {3, 3, stride, stride, 1, 1}, projection = {1, 1, stride, stride, 1, 1};
  const uint32_t middle = model->Conv(narrow, 1 + channels / 2, window, window.Same(in));
  const uint32_t y = model->Pointwise(middle, channels);
  const uint32_t other = stride == 1 && channels == in.channels ? x : model->Conv(x, channels, projection, Pads());
  return model->Add(y, other);
}

void BuildRandomChain(ChainModel* model) {
  const TensorSpec image = {kSides[model->Below(13)], kSides[model->Below(13)], kChannels[model->Below(10)]};
  uint32_t x = model->Import(image);
  if (model->Chance(3)) x = model->Add(x, model->Import(image));
  const uint32_t layers = 1 + model->Below(6);
  for (uint32_t i = 0; i < layers; ++i) {
    x = RandomLayer(model, x);
    if (model->Chance(5)) model->Export(x);
  }
  if (model->Chance(3)) {
    model->Mean(x);
    if (model->Chance(2)) model->Export(x);
  } else {
    model->Export(x);
  }
}

}  // namespace tfprune
