// SPDX-License-Identifier: Apache-2.0
// What a node of the interpreter's graph means to a chain of planar layers.
#ifndef TFPRUNE_OPS_PLANAR_NODE_H_
#define TFPRUNE_OPS_PLANAR_NODE_H_

#include "tensorflow/lite/core/c/common.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/kernels/chain/chain.h"
#include "tflite_ops/ops/float_constants.h"

namespace tfprune {

// A node that a chain can run. Two are no stages of their own: the layer behind a PAD pads, and constants of halves are
// widened when the chain is made.
struct PlanarNode {
  StageKind kind = StageKind::kConv;
  bool is_pad = false, is_widening = false;
  int node = -1;
  int inputs[2] = {-1, -1};  // tensors of the interpreter
  int output = -1;
  int packed = -1;            // kConv: the tensor of packed weights
  int weights = -1;           // kDepthwise: a constant of float32 or float16
  int bias = -1;              // the same; -1: none
  uint32_t out_channels = 0;  // kConv, kDepthwise
  uint32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  bool same_padding = false;
  int activation = 0;
  bool keep_dims = false;           // kMean: the output is [N, 1, 1, C], else [N, C]
  uint32_t pads[4] = {0, 0, 0, 0};  // PAD: top, bottom, left, right

  bool IsPool() const { return kind == StageKind::kAveragePool || kind == StageKind::kMaxPool; }
  bool HasWindow() const { return kind == StageKind::kConv || kind == StageKind::kDepthwise || IsPool(); }
};

// False where node `index` is nothing a chain can run, with the shapes its tensors have now.
bool ReadPlanarNode(TfLiteContext* context, const FloatConstants& constants, int index, PlanarNode* node);

// Output size of a node from that of its input, and the padding of its window; `pads` are those of a PAD before it.
Status InferPlanarShape(const PlanarNode& node, const TensorSpec& in, const uint32_t* pads, ConvShape* shape,
                        TensorSpec* out);

// Bounds of a TFLite activation; infinities for none.
void ActivationBounds(int activation, float* low, float* high);

}  // namespace tfprune

#endif  // TFPRUNE_OPS_PLANAR_NODE_H_
