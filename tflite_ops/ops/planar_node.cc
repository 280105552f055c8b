// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/planar_node.h"

#include <math.h>
#include <string.h>

#include "tensorflow/lite/builtin_ops.h"
#include "tflite_ops/ops/builtin_data.h"
#include "tflite_ops/ops/sparse_op.h"
#include "tflite_ops/ops/tensors.h"

namespace tfprune {
namespace {

const TfLiteTensor* TensorAt(TfLiteContext* context, const TfLiteIntArray* list, int i) {
  return i < list->size && list->data[i] >= 0 ? &context->tensors[list->data[i]] : nullptr;
}

bool HasFourSizes(const TfLiteTensor& tensor) {
  if (tensor.dims == nullptr || tensor.dims->size != 4) return false;
  for (int i = 0; i < 4; ++i) {
    if (tensor.dims->data[i] < 1) return false;
  }
  return true;
}

bool IsImage(const TfLiteTensor* tensor) {
  return tensor != nullptr && tensor->type == kTfLiteFloat32 && HasFourSizes(*tensor);
}

bool IsConstant(const TfLiteTensor* tensor, TfLiteType type) {
  return tensor != nullptr && tfprune::IsConstant(*tensor, type);
}

// Sizes below this leave room to add and multiply a few of them in 31 bits.
constexpr int kMaxParameter = 1 << 14;

bool IsSmall(int size) { return size >= 1 && size <= kMaxParameter; }

bool KnownPadding(int padding) { return padding == kPaddingSame || padding == kPaddingValid; }

bool KnownActivation(int activation) {
  return activation == kActivationNone || activation == kActivationRelu || activation == kActivationReluN1To1 ||
         activation == kActivationRelu6;
}

// What the interpreter, and the constants of its graph, say of a node.
struct Place {
  TfLiteContext* context;
  const FloatConstants& constants;
  const TfLiteNode& tflite;
};

// A bias of [channels], or none.
bool ReadBias(const Place& place, int i, PlanarNode* node) {
  if (TensorAt(place.context, place.tflite.inputs, i) == nullptr) return true;
  node->bias = place.constants.StoredAs(place.tflite.inputs->data[i]);
  if (node->bias < 0) return false;
  const TfLiteIntArray& dims = *place.context->tensors[node->bias].dims;
  return dims.size == 1 && dims.data[0] == static_cast<int>(node->out_channels);
}

bool ReadConv(const Place& place, PlanarNode* node) {
  TfLiteContext* context = place.context;
  const TfLiteNode& tflite = place.tflite;
  const TfLiteTensor *x = TensorAt(context, tflite.inputs, 0), *packed = TensorAt(context, tflite.inputs, 1);
  const TfLiteTensor* geometry = TensorAt(context, tflite.inputs, 2);
  PackedWeights weights;
  if (!IsConstant(packed, kTfLiteUInt8) || !ReadPackedHeader(packed->data.raw_const, packed->bytes, &weights).ok() ||
      weights.has_integers() ||  // float16 is expanded
      weights.op != Op::kConv2D || static_cast<int64_t>(weights.in_channels) != x->dims->data[3] ||
      geometry == nullptr || geometry->dims == nullptr || !CheckConvGeometry(weights, *geometry).ok()) {
    return false;
  }
  node->packed = tflite.inputs->data[1];
  node->out_channels = weights.out_channels;
  node->kernel_h = weights.kernel_h;
  node->kernel_w = weights.kernel_w;
  node->stride_h = weights.stride_h;
  node->stride_w = weights.stride_w;
  node->dilation_h = weights.dilation_h;
  node->dilation_w = weights.dilation_w;
  node->same_padding = weights.padding == Padding::kSame;
  return ReadBias(place, 3, node);
}

bool ReadDepthwise(const Place& place, PlanarNode* node) {
  const DepthwiseConvData* data = static_cast<const DepthwiseConvData*>(place.tflite.builtin_data);
  const TfLiteIntArray& inputs = *place.tflite.inputs;
  if (data == nullptr || TensorAt(place.context, &inputs, 1) == nullptr) return false;
  node->weights = place.constants.StoredAs(inputs.data[1]);
  if (node->weights < 0 || !HasFourSizes(place.context->tensors[node->weights])) return false;
  const int* sizes = place.context->tensors[node->weights].dims->data;
  const int channels = place.context->tensors[inputs.data[0]].dims->data[3];
  if (sizes[0] != 1 || !IsSmall(sizes[1]) || !IsSmall(sizes[2]) || !KnownPadding(data->padding) ||
      !KnownActivation(data->activation) || !IsSmall(data->stride_w) || !IsSmall(data->stride_h) ||
      !IsSmall(data->dilation_w) || !IsSmall(data->dilation_h) || sizes[3] % channels != 0) {
    return false;
  }
  node->kernel_h = static_cast<uint32_t>(sizes[1]);
  node->kernel_w = static_cast<uint32_t>(sizes[2]);
  node->out_channels = static_cast<uint32_t>(sizes[3]);
  node->stride_h = static_cast<uint32_t>(data->stride_h);
  node->stride_w = static_cast<uint32_t>(data->stride_w);
  node->dilation_h = static_cast<uint32_t>(data->dilation_h);
  node->dilation_w = static_cast<uint32_t>(data->dilation_w);
  node->same_padding = data->padding == kPaddingSame;
  node->activation = data->activation;
  return ReadBias(place, 2, node);
}

bool ReadAdd(TfLiteContext* context, const TfLiteNode& tflite, PlanarNode* node) {
  const ActivationData* data = static_cast<const ActivationData*>(tflite.builtin_data);
  const TfLiteTensor *a = TensorAt(context, tflite.inputs, 0), *b = TensorAt(context, tflite.inputs, 1);
  if (data == nullptr || !KnownActivation(data->activation) || !IsImage(b) || b->allocation_type == kTfLiteMmapRo ||
      a->allocation_type == kTfLiteMmapRo) {
    return false;
  }
  for (int i = 0; i < 4; ++i) {
    if (a->dims->data[i] != b->dims->data[i]) return false;
  }
  node->inputs[1] = tflite.inputs->data[1];
  node->activation = data->activation;
  return true;
}

bool ReadPool(const TfLiteNode& tflite, PlanarNode* node) {
  const PoolData* data = static_cast<const PoolData*>(tflite.builtin_data);
  if (data == nullptr || !KnownPadding(data->padding) || !KnownActivation(data->activation) ||
      !IsSmall(data->stride_w) || !IsSmall(data->stride_h) || !IsSmall(data->filter_w) || !IsSmall(data->filter_h)) {
    return false;
  }
  node->kernel_h = static_cast<uint32_t>(data->filter_h);
  node->kernel_w = static_cast<uint32_t>(data->filter_w);
  node->stride_h = static_cast<uint32_t>(data->stride_h);
  node->stride_w = static_cast<uint32_t>(data->stride_w);
  node->same_padding = data->padding == kPaddingSame;
  node->activation = data->activation;
  return true;
}

// Rows and columns of [[0, 0], [top, bottom], [left, right], [0, 0]] with zeros.
bool ReadPad(TfLiteContext* context, const TfLiteNode& tflite, PlanarNode* node) {
  const TfLiteTensor* pads = TensorAt(context, tflite.inputs, 1);
  if (!IsConstant(pads, kTfLiteInt32) || pads->bytes != 8 * sizeof(int32_t)) return false;
  const int32_t* values = pads->data.i32;
  for (int i = 0; i < 8; ++i) {
    const bool spatial = i >= 2 && i < 6;
    if (values[i] < 0 || values[i] > (spatial ? kMaxParameter : 0)) return false;
    if (spatial) node->pads[i - 2] = static_cast<uint32_t>(values[i]);
  }
  node->is_pad = true;
  return true;
}

// Means over rows and columns.
bool ReadMean(TfLiteContext* context, const TfLiteNode& tflite, PlanarNode* node) {
  const ReducerData* data = static_cast<const ReducerData*>(tflite.builtin_data);
  const TfLiteTensor* axes = TensorAt(context, tflite.inputs, 1);
  if (data == nullptr || !IsConstant(axes, kTfLiteInt32) || axes->bytes != 2 * sizeof(int32_t)) {
    return false;
  }
  node->keep_dims = data->keep_dims;
  const int first = axes->data.i32[0] < 0 ? axes->data.i32[0] + 4 : axes->data.i32[0];
  const int second = axes->data.i32[1] < 0 ? axes->data.i32[1] + 4 : axes->data.i32[1];
  return (first == 1 && second == 2) || (first == 2 && second == 1);
}

}  // namespace

bool ReadPlanarNode(TfLiteContext* context, const FloatConstants& constants, int index, PlanarNode* node) {
  TfLiteNode* tflite = nullptr;
  TfLiteRegistration* registration = nullptr;
  if (context->GetNodeAndRegistration(context, index, &tflite, &registration) != kTfLiteOk) return false;
  *node = {};
  node->node = index;
  if (WidensConstant(context, index)) {
    node->is_widening = true;
    node->output = tflite->outputs->data[0];
    return true;
  }
  // LiteRT lets any output be left out.
  if (tflite->inputs->size < 1 || tflite->outputs->size != 1 || tflite->outputs->data[0] < 0 ||
      !IsImage(TensorAt(context, tflite->inputs, 0))) {
    return false;
  }
  const TfLiteTensor& y = context->tensors[tflite->outputs->data[0]];
  if (y.type != kTfLiteFloat32) return false;
  node->inputs[0] = tflite->inputs->data[0];
  node->output = tflite->outputs->data[0];
  const Place place = {context, constants, *tflite};
  switch (registration->builtin_code) {
    case kTfLiteBuiltinDepthwiseConv2d:
      node->kind = StageKind::kDepthwise;
      return ReadDepthwise(place, node);
    case kTfLiteBuiltinAdd:
      node->kind = StageKind::kAdd;
      return ReadAdd(context, *tflite, node);
    case kTfLiteBuiltinAveragePool2d:
      node->kind = StageKind::kAveragePool;
      return ReadPool(*tflite, node);
    case kTfLiteBuiltinMaxPool2d:
      node->kind = StageKind::kMaxPool;
      return ReadPool(*tflite, node);
    case kTfLiteBuiltinPad:
      return ReadPad(context, *tflite, node);
    case kTfLiteBuiltinMean:
      node->kind = StageKind::kMean;
      return ReadMean(context, *tflite, node);
    default:
      node->kind = StageKind::kConv;
      // Another version is left to the single op, which names the problem.
      return IsTfpruneConv2D(registration->custom_name) && registration->version == kSparseOpVersion &&
             tflite->inputs->size >= 3 && ReadConv(place, node);
  }
}

void ActivationBounds(int activation, float* low, float* high) {
  ActivationBounds(static_cast<Activation>(activation), low, high);
}

Status InferPlanarShape(const PlanarNode& node, const TensorSpec& in, const uint32_t* pads, ConvShape* shape,
                        TensorSpec* out) {
  *out = in;
  if (!node.HasWindow()) return {};
  PackedWeights window;  // only its sizes are read
  window.kernel_h = node.kernel_h;
  window.kernel_w = node.kernel_w;
  window.stride_h = node.stride_h;
  window.stride_w = node.stride_w;
  window.dilation_h = node.dilation_h;
  window.dilation_w = node.dilation_w;
  window.padding = node.same_padding ? Padding::kSame : Padding::kValid;
  window.out_channels = node.IsPool() ? in.channels : node.out_channels;
  const ImageSize padded = {1, in.height + pads[0] + pads[1], in.width + pads[2] + pads[3]};
  TFPRUNE_RETURN_IF_ERROR(InferConvShape(window, padded, shape));
  shape->in = {1, in.height, in.width};
  shape->pad_top += pads[0];
  shape->pad_left += pads[2];
  *out = {shape->out.height, shape->out.width, window.out_channels};
  return {};
}

}  // namespace tfprune
