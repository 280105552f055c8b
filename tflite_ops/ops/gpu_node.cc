// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/gpu_node.h"

#include "tensorflow/lite/builtin_ops.h"
#include "tflite_ops/ops/builtin_data.h"
#include "tflite_ops/ops/quantized_tensors.h"
#include "tflite_ops/ops/sparse_op.h"
#include "tflite_ops/ops/tensors.h"

namespace tfprune {
namespace {

uint32_t Unsigned(int value) { return value > 0 ? static_cast<uint32_t>(value) : 0; }

// TFLite's number of a padding; another one is no window that a selector takes.
Status ReadPadding(int padding, Node* node) {
  if (padding != kPaddingSame && padding != kPaddingValid) return Error("gpu: padding %d does not exist", padding);
  node->padding = padding == kPaddingSame ? Padding::kSame : Padding::kValid;
  return {};
}

void ReadStrides(int stride_h, int stride_w, Node* node) {
  node->stride_h = Unsigned(stride_h);
  node->stride_w = Unsigned(stride_w);
}

void ReadDilations(int dilation_h, int dilation_w, Node* node) {
  node->dilation_h = Unsigned(dilation_h);
  node->dilation_w = Unsigned(dilation_w);
}

Status ReadConv(const void* options, Node* node) {
  const ConvData& data = *static_cast<const ConvData*>(options);
  node->activation = data.activation;
  ReadStrides(data.stride_h, data.stride_w, node);
  ReadDilations(data.dilation_h, data.dilation_w, node);
  return ReadPadding(data.padding, node);
}

Status ReadDepthwise(const void* options, Node* node) {
  const DepthwiseConvData& data = *static_cast<const DepthwiseConvData*>(options);
  node->activation = data.activation;
  ReadStrides(data.stride_h, data.stride_w, node);
  ReadDilations(data.dilation_h, data.dilation_w, node);
  return ReadPadding(data.padding, node);
}

Status ReadPool(const void* options, Node* node) {
  const PoolData& data = *static_cast<const PoolData*>(options);
  node->activation = data.activation;
  node->kernel_h = Unsigned(data.filter_h);
  node->kernel_w = Unsigned(data.filter_w);
  ReadStrides(data.stride_h, data.stride_w, node);
  return ReadPadding(data.padding, node);
}

Status ReadFullyConnected(const void* options, Node* node) {
  const FullyConnectedData& data = *static_cast<const FullyConnectedData*>(options);
  if (data.weights_format != 0) return Error("gpu FULLY_CONNECTED: weights are shuffled");
  node->activation = data.activation;
  node->keep_dims = data.keep_num_dims;
  return {};
}

Status ReadActivation(const void* options, Node* node) {
  node->activation = static_cast<const ActivationData*>(options)->activation;
  return {};
}

Status ReadConcatenation(const void* options, Node* node) {
  const ConcatenationData& data = *static_cast<const ConcatenationData*>(options);
  node->axis = data.axis;
  node->activation = data.activation;
  return {};
}

Status ReadReduction(const void* options, Node* node) {
  node->keep_dims = static_cast<const ReducerData*>(options)->keep_dims;
  return {};
}

Status ReadSoftmax(const void* options, Node* node) {
  node->beta = static_cast<const SoftmaxData*>(options)->beta;
  return {};
}

Status ReadLeakyRelu(const void* options, Node* node) {
  node->alpha = static_cast<const LeakyReluData*>(options)->alpha;
  return {};
}

Status ReadGelu(const void* options, Node* node) {
  node->approximate = static_cast<const GeluData*>(options)->approximate;
  return {};
}

Status ReadTransposeConv(const void* options, Node* node) {
  const TransposeConvData& data = *static_cast<const TransposeConvData*>(options);
  node->activation = data.activation;
  ReadStrides(data.stride_h, data.stride_w, node);
  return ReadPadding(data.padding, node);
}

Status ReadBlock(const void* options, Node* node) {
  node->block = Unsigned(static_cast<const BlockData*>(options)->block);
  return {};
}

Status ReadPack(const void* options, Node* node) {
  node->axis = static_cast<const PackData*>(options)->axis;
  return {};
}

Status ReadSqueeze(const void* options, Node* node) {
  const SqueezeData& data = *static_cast<const SqueezeData*>(options);
  node->squeezed_count = Unsigned(data.count);
  if (node->squeezed_count > kMaxRank) return Error("gpu SQUEEZE: %d dimensions are named", data.count);
  for (uint32_t i = 0; i < node->squeezed_count; ++i) node->squeezed[i] = data.dims[i];
  return {};
}

Status ReadResize(const void* options, Node* node) {
  const ResizeData& data = *static_cast<const ResizeData*>(options);
  node->align_corners = data.align_corners;
  node->half_pixel_centers = data.half_pixel_centers;
  return {};
}

Status ReadStridedSlice(const void* options, Node* node) {
  const StridedSliceData& data = *static_cast<const StridedSliceData*>(options);
  node->begin_mask = data.begin_mask;
  node->end_mask = data.end_mask;
  node->ellipsis_mask = data.ellipsis_mask;
  node->new_axis_mask = data.new_axis_mask;
  node->shrink_axis_mask = data.shrink_axis_mask;
  node->offset = data.offset;
  return {};
}

Status ReadSplit(const void* options, Node* node) {
  node->part_count = Unsigned(static_cast<const SplitData*>(options)->parts);
  return {};
}

struct Reader {
  TfLiteBuiltinOperator builtin;
  NodeOp op;
  Status (*read)(const void* options, Node* node);  // null where the op has no options
};

constexpr Reader kReaders[] = {
    {kTfLiteBuiltinConv2d, NodeOp::kConv2D, ReadConv},
    {kTfLiteBuiltinDepthwiseConv2d, NodeOp::kDepthwiseConv2D, ReadDepthwise},
    {kTfLiteBuiltinFullyConnected, NodeOp::kFullyConnected, ReadFullyConnected},
    {kTfLiteBuiltinAdd, NodeOp::kAdd, ReadActivation},
    {kTfLiteBuiltinSub, NodeOp::kSub, ReadActivation},
    {kTfLiteBuiltinMul, NodeOp::kMul, ReadActivation},
    {kTfLiteBuiltinDiv, NodeOp::kDiv, ReadActivation},
    {kTfLiteBuiltinMaximum, NodeOp::kMaximum, nullptr},
    {kTfLiteBuiltinMinimum, NodeOp::kMinimum, nullptr},
    {kTfLiteBuiltinAveragePool2d, NodeOp::kAveragePool2D, ReadPool},
    {kTfLiteBuiltinMaxPool2d, NodeOp::kMaxPool2D, ReadPool},
    {kTfLiteBuiltinMean, NodeOp::kMean, ReadReduction},
    {kTfLiteBuiltinSum, NodeOp::kSum, ReadReduction},
    {kTfLiteBuiltinReduceMax, NodeOp::kReduceMax, ReadReduction},
    {kTfLiteBuiltinReduceMin, NodeOp::kReduceMin, ReadReduction},
    {kTfLiteBuiltinReshape, NodeOp::kReshape, nullptr},
    {kTfLiteBuiltinSqueeze, NodeOp::kSqueeze, ReadSqueeze},
    {kTfLiteBuiltinExpandDims, NodeOp::kExpandDims, nullptr},
    {kTfLiteBuiltinDepthToSpace, NodeOp::kDepthToSpace, ReadBlock},
    {kTfLiteBuiltinSpaceToDepth, NodeOp::kSpaceToDepth, ReadBlock},
    {kTfLiteBuiltinPack, NodeOp::kPack, ReadPack},
    {kTfLiteBuiltinUnpack, NodeOp::kUnpack, ReadPack},
    {kTfLiteBuiltinTranspose, NodeOp::kTranspose, nullptr},
    {kTfLiteBuiltinPad, NodeOp::kPad, nullptr},
    {kTfLiteBuiltinPadv2, NodeOp::kPadV2, nullptr},
    {kTfLiteBuiltinSlice, NodeOp::kSlice, nullptr},
    {kTfLiteBuiltinConcatenation, NodeOp::kConcatenation, ReadConcatenation},
    {kTfLiteBuiltinSoftmax, NodeOp::kSoftmax, ReadSoftmax},
    {kTfLiteBuiltinRelu, NodeOp::kRelu, nullptr},
    {kTfLiteBuiltinReluN1To1, NodeOp::kReluN1To1, nullptr},
    {kTfLiteBuiltinRelu6, NodeOp::kRelu6, nullptr},
    {kTfLiteBuiltinLogistic, NodeOp::kLogistic, nullptr},
    {kTfLiteBuiltinTanh, NodeOp::kTanh, nullptr},
    {kTfLiteBuiltinHardSwish, NodeOp::kHardSwish, nullptr},
    {kTfLiteBuiltinLeakyRelu, NodeOp::kLeakyRelu, ReadLeakyRelu},
    {kTfLiteBuiltinElu, NodeOp::kElu, nullptr},
    {kTfLiteBuiltinGelu, NodeOp::kGelu, ReadGelu},
    {kTfLiteBuiltinAbs, NodeOp::kAbs, nullptr},
    {kTfLiteBuiltinNeg, NodeOp::kNeg, nullptr},
    {kTfLiteBuiltinExp, NodeOp::kExp, nullptr},
    {kTfLiteBuiltinLog, NodeOp::kLog, nullptr},
    {kTfLiteBuiltinSqrt, NodeOp::kSqrt, nullptr},
    {kTfLiteBuiltinRsqrt, NodeOp::kRsqrt, nullptr},
    {kTfLiteBuiltinSquare, NodeOp::kSquare, nullptr},
    {kTfLiteBuiltinPrelu, NodeOp::kPrelu, nullptr},
    {kTfLiteBuiltinTransposeConv, NodeOp::kTransposeConv, ReadTransposeConv},
    {kTfLiteBuiltinResizeBilinear, NodeOp::kResizeBilinear, ReadResize},
    {kTfLiteBuiltinResizeNearestNeighbor, NodeOp::kResizeNearestNeighbor, ReadResize},
    {kTfLiteBuiltinStridedSlice, NodeOp::kStridedSlice, ReadStridedSlice},
    {kTfLiteBuiltinSplit, NodeOp::kSplit, ReadSplit},
    {kTfLiteBuiltinSplitV, NodeOp::kSplitV, ReadSplit},
    {kTfLiteBuiltinSquaredDifference, NodeOp::kSquaredDifference, nullptr},
    {kTfLiteBuiltinPow, NodeOp::kPow, nullptr},
    {kTfLiteBuiltinQuantize, NodeOp::kQuantize, nullptr},
    {kTfLiteBuiltinDequantize, NodeOp::kDequantize, nullptr},
};

Status ReadOptions(const TfLiteRegistration& registration, const TfLiteNode& tflite, Node* node) {
  if (IsTfpruneOp(registration.custom_name)) {
    // Another version is left to the op itself, which names the problem.
    if (registration.version != kSparseOpVersion) return Error("gpu: version %d of a tfprune op", registration.version);
    node->op = IsTfpruneConv2D(registration.custom_name) ? NodeOp::kTfpruneConv2D : NodeOp::kTfpruneFullyConnected;
    return {};
  }
  for (const Reader& reader : kReaders) {
    if (reader.builtin != registration.builtin_code) continue;
    node->op = reader.op;
    if (reader.read == nullptr) return {};
    return tflite.builtin_data == nullptr ? Error("gpu %s: the node has no options", NodeOpName(reader.op))
                                          : reader.read(tflite.builtin_data, node);
  }
  return Error("gpu: the op has no kernel");
}

ElementType TypeOf(TfLiteType type) {
  switch (type) {
    case kTfLiteFloat32:
      return ElementType::kFloat32;
    case kTfLiteFloat16:
      return ElementType::kFloat16;
    case kTfLiteInt32:
      return ElementType::kInt32;
    case kTfLiteInt8:
      return ElementType::kInt8;
    case kTfLiteUInt8:
      return ElementType::kUInt8;
    default:
      return ElementType::kOther;
  }
}

Status ReadOperand(TfLiteContext* context, const FloatConstants& constants, const Node& node, int tensor,
                   Operand* operand) {
  *operand = {};
  if (tensor < 0) return {};
  const int stored = constants.StoredAs(tensor);
  const TfLiteTensor& values = context->tensors[stored < 0 ? tensor : stored];
  operand->type = TypeOf(values.type);
  if (!ReadShape(values, &operand->shape)) {
    return Error("gpu %s: tensor %d has no shape of up to %u dimensions", NodeOpName(node.op), tensor, kMaxRank);
  }
  Grid grid;
  if (!IsConstant(values, values.type)) {
    if (ReadGrid(values, &grid)) operand->type = ElementType::kFloat32;
    return {};
  }
  operand->values = values.data.raw_const;
  operand->bytes = values.bytes;
  operand->quantization = ReadQuantization(values);
  return {};
}

// The numbers that the output's type can hold.
Status ReadOutput(const TfLiteTensor& y, Node* node) {
  Grid grid;
  if (y.type == kTfLiteFloat32) return {};
  if (!ReadGrid(y, &grid)) {
    return Error("gpu %s: the output must be float32, or int8 or uint8 with one scale, got TFLite's type %d",
                 NodeOpName(node->op), y.type);
  }
  node->low = grid.Number(grid.least);
  node->high = grid.Number(grid.most);
  return {};
}

// The shape that RESHAPE and TRANSPOSE_CONV write: their input `i`, or an option of older files.
Status ReadOutputShape(const ShapeNodes& shapes, const TfLiteNode& tflite, int i, Node* node) {
  if (i < tflite.inputs->size) {
    if (shapes.ReadShape(tflite.inputs->data[i], &node->output_shape)) return {};
    return Error("gpu %s: the output's shape must be a constant but for its batch", NodeOpName(node->op));
  }
  const ReshapeData* const options = static_cast<const ReshapeData*>(tflite.builtin_data);
  if (options == nullptr || options->rank < 0 || options->rank > static_cast<int>(kMaxRank)) {
    return Error("gpu RESHAPE: the output has no shape of up to %u dimensions", kMaxRank);
  }
  node->output_shape.rank = Unsigned(options->rank);
  for (int k = 0; k < options->rank; ++k) {
    node->output_shape.sizes[k] = options->sizes[k] < 0 ? kOpenSize : Unsigned(options->sizes[k]);
  }
  return {};
}

// What the node needs besides its inputs and options. Shapes that nodes compute are no input of a network.
Status ReadShapes(const ShapeNodes& shapes, const TfLiteNode& tflite, Node* node) {
  if (node->op == NodeOp::kReshape) {
    node->input_count = 1;
    return ReadOutputShape(shapes, tflite, 1, node);
  }
  if (node->op != NodeOp::kTransposeConv) return {};
  node->inputs[0] = {};
  return ReadOutputShape(shapes, tflite, 0, node);
}

}  // namespace

bool ReadShape(const TfLiteTensor& tensor, TensorShape* shape) {
  if (tensor.dims == nullptr || tensor.dims->size > static_cast<int>(kMaxRank)) return false;
  shape->rank = static_cast<uint32_t>(tensor.dims->size);
  for (uint32_t i = 0; i < shape->rank; ++i) {
    if (tensor.dims->data[i] < 0) return false;
    shape->sizes[i] = static_cast<uint32_t>(tensor.dims->data[i]);
  }
  return true;
}

bool GraphConstants::Read(TfLiteContext* context, const TfLiteIntArray& nodes) {
  return floats.Read(context, nodes) && shapes.Read(context, nodes);
}

Status ReadGpuNode(TfLiteContext* context, const GraphConstants& constants, int index, int output, NetworkNode* node) {
  TfLiteNode* tflite = nullptr;
  TfLiteRegistration* registration = nullptr;
  if (context->GetNodeAndRegistration(context, index, &tflite, &registration) != kTfLiteOk) {
    return Error("gpu: node %d cannot be read", index);
  }
  *node = {};
  TFPRUNE_RETURN_IF_ERROR(ReadOptions(*registration, *tflite, &node->node));
  const TfLiteIntArray &inputs = *tflite->inputs, &outputs = *tflite->outputs;
  if (inputs.size > static_cast<int>(kMaxNodeInputs)) {
    return Error("gpu %s: there are %d inputs, at most %u have a kernel", NodeOpName(node->node.op), inputs.size,
                 kMaxNodeInputs);
  }
  // LiteRT lets any output be left out.
  if (outputs.data[output] < 0) return Error("gpu %s: output %d is missing", NodeOpName(node->node.op), output);
  TFPRUNE_RETURN_IF_ERROR(ReadOutput(context->tensors[outputs.data[output]], &node->node));
  node->node.part = static_cast<uint32_t>(output);
  node->output = static_cast<uint32_t>(outputs.data[output]);
  node->node.input_count = static_cast<uint32_t>(inputs.size);
  for (int i = 0; i < inputs.size; ++i) {
    TFPRUNE_RETURN_IF_ERROR(ReadOperand(context, constants.floats, node->node, inputs.data[i], &node->node.inputs[i]));
    node->inputs[i] = Unsigned(inputs.data[i]);
  }
  return ReadShapes(constants.shapes, *tflite, &node->node);
}

}  // namespace tfprune
