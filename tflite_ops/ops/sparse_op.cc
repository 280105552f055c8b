// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/sparse_op.h"

#include <string.h>

#include "tflite_ops/base/crc32.h"
#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/formats/packed_weights.h"
#include "tflite_ops/kernels/conv2d_int16/conv2d_int16.h"
#include "tflite_ops/kernels/conv2d_int8/conv2d_int8.h"
#include "tflite_ops/ops/delegate_kernel.h"
#include "tflite_ops/ops/tensors.h"
#include "tflite_ops/ops/tune_layers.h"

namespace tfprune {
namespace {

constexpr char kConv2D[] = "TfpruneConv2D";
constexpr char kFullyConnected[] = "TfpruneFullyConnected";
constexpr int kInput = 0, kPacked = 1, kGeometry = 2, kBias = 3;

const char* last_kernel_name = "";  // atomic

struct OpData : Described {
  SharedState* state = nullptr;
  int node = 0;
  RunTimes times;
  Op op = Op::kConv2D;
  int version = 0;
  int inputs[4] = {-1, -1, -1, -1};
  int output = -1;
  const void* packed_data = nullptr;  // where `weights` were read from
  uint32_t packed_crc = 0;            // with tuning
  Tuned tuned;
  PackedWeights weights;
  Conv2DPlan plan;             // for float weights
  Int8Conv2DPlan int8_plan;    // for integer weights with int8 or float32 activations
  Int16Conv2DPlan int16_plan;  // for those that NeedsInt16 names

  bool int8() const { return weights.has_integers() && !int16(); }
  bool int16() const { return NeedsInt16(weights); }
  // Calls `visit` with the plan that runs the weights.
  template <typename Visit>
  auto WithPlan(Visit visit) const {
    return int16() ? visit(int16_plan) : int8() ? visit(int8_plan) : visit(plan);
  }
  ConvShape shape() const {
    return WithPlan([](const auto& plan) { return plan.shape(); });
  }
  const char* kernel_name() const {
    return WithPlan([](const auto& plan) { return plan.kernel_name(); });
  }
};

void DescribeOp(const Described* self, uint32_t op, Text* text) {
  const OpData& data = *static_cast<const OpData*>(self);
  text->Add("%u\t%d\t%s\t%llu\t%llu\t", op, data.node, data.kernel_name(), data.times.nanoseconds(), data.times.runs());
  DescribeTunedConv(data.tuned, text);
  DescribeWeights(data.WithPlan([](const auto& plan) { return plan.weight_bytes(); }), text);
}

Status CheckGeometryDims(const TfLiteTensor& geometry, const uint32_t* expected, int rank) {
  bool same = geometry.dims->size == rank;
  for (int i = 0; same && i < rank; ++i) same = geometry.dims->data[i] == static_cast<int64_t>(expected[i]);
  return same ? Status{} : Error("the shape of the geometry tensor contradicts the packed weights");
}

Status ReadWeights(const TfLiteTensor& packed, OpData* data) {
  if (data->packed_data != packed.data.raw_const) {
    data->packed_data = nullptr;
    TFPRUNE_RETURN_IF_ERROR(ReadPackedWeights(packed.data.raw_const, packed.bytes, &data->weights));
    data->packed_data = packed.data.raw_const;
    if (data->state->tuning() != nullptr) data->packed_crc = Crc32(packed.data.raw_const, packed.bytes);
  }
  return data->weights.op == data->op ? Status{} : Error("the packed weights belong to the other tfprune op");
}

Status ConvShapes(const OpData& data, const TfLiteTensor& x, const TfLiteTensor& geometry, ImageSize* in) {
  TFPRUNE_RETURN_IF_ERROR(CheckConvGeometry(data.weights, geometry));
  const TfLiteIntArray* dims = x.dims;
  if (dims->size != 4) return Error("input must have 4 dimensions [N, H, W, C], got %d", dims->size);
  for (int i = 0; i < 4; ++i) {
    if (dims->data[i] < (i == 0 ? 0 : 1)) return Error("input dimension %d is %d", i, dims->data[i]);
  }
  if (dims->data[3] != static_cast<int64_t>(data.weights.in_channels)) {
    return Error("input has %d channels, the weights have %u", dims->data[3], data.weights.in_channels);
  }
  *in = {static_cast<uint32_t>(dims->data[0]), static_cast<uint32_t>(dims->data[1]),
         static_cast<uint32_t>(dims->data[2])};
  return {};
}

// The last `features` dimensions of x are the features of one row; the others are batch dimensions.
Status FullyConnectedShapes(const OpData& data, const TfLiteTensor& x, const TfLiteTensor& geometry, ImageSize* in,
                            int* features) {
  const PackedWeights& w = data.weights;
  if (geometry.dims->size != 3) return Error("geometry must have 3 dimensions, got %d", geometry.dims->size);
  *features = geometry.dims->data[1];
  const uint32_t expected[] = {w.out_channels, static_cast<uint32_t>(*features), w.keep_num_dims ? 2u : 1u};
  TFPRUNE_RETURN_IF_ERROR(CheckGeometryDims(geometry, expected, 3));
  const TfLiteIntArray* dims = x.dims;
  if (*features < 1 || *features > dims->size || (w.keep_num_dims && *features != 1)) {
    return Error("%d feature dimensions do not fit an input of %d dimensions", *features, dims->size);
  }
  size_t batch = 1, inputs = 1;
  for (int i = 0; i < dims->size; ++i) {
    size_t* product = i < dims->size - *features ? &batch : &inputs;
    if (dims->data[i] < 0 || !CheckedMultiply(*product, static_cast<size_t>(dims->data[i]), product)) {
      return Error("input dimension %d is %d", i, dims->data[i]);
    }
  }
  if (inputs != w.in_channels || batch > INT32_MAX) {
    return Error("input has %zu features, the weights have %u", inputs, w.in_channels);
  }
  *in = {static_cast<uint32_t>(batch), 1, 1};
  return {};
}

TfLiteIntArray* OutputDims(const OpData& data, const TfLiteTensor& x, int features) {
  const ImageSize out = data.shape().out;
  const int channels = static_cast<int>(data.weights.out_channels);
  if (data.op == Op::kConv2D) {
    TfLiteIntArray* dims = NewDims(4);
    if (dims == nullptr) return nullptr;
    dims->data[0] = static_cast<int>(out.batch);
    dims->data[1] = static_cast<int>(out.height);
    dims->data[2] = static_cast<int>(out.width);
    dims->data[3] = channels;
    return dims;
  }
  const int rank = data.weights.keep_num_dims ? x.dims->size - features + 1 : 2;
  TfLiteIntArray* dims = NewDims(rank);
  if (dims == nullptr) return nullptr;
  dims->data[0] = static_cast<int>(out.batch);
  for (int i = 0; data.weights.keep_num_dims && i < rank - 1; ++i) dims->data[i] = x.dims->data[i];
  dims->data[rank - 1] = channels;
  return dims;
}

TfLiteType TypeOf(ActivationType type) {
  switch (type) {
    case ActivationType::kInt8:
      return kTfLiteInt8;
    case ActivationType::kUInt8:
      return kTfLiteUInt8;
    case ActivationType::kInt16:
      return kTfLiteInt16;
    case ActivationType::kFloat32:
      break;
  }
  return kTfLiteFloat32;
}

size_t BytesOf(ActivationType type) {
  return type == ActivationType::kFloat32 ? sizeof(float) : type == ActivationType::kInt16 ? sizeof(int16_t) : 1;
}

// Scale and zero point stand in the file twice, and the stock ops around this one follow the tensor's.
Status CheckQuantization(const char* name, const TfLiteTensor& tensor, float scale, int32_t zero_point) {
  const bool same = tensor.params.scale == scale && tensor.params.zero_point == zero_point;
  return same ? Status{} : Error("the quantization of the %s contradicts the packed weights", name);
}

// Types follow from the weights. The bias of integer weights takes part in checks and is therefore a constant.
Status CheckTypes(const OpData& data, const TfLiteTensor& x, const TfLiteTensor* bias, const TfLiteTensor& y) {
  const ActivationType type = data.weights.activation_type;
  TFPRUNE_RETURN_IF_ERROR(CheckTensor("input", x, TypeOf(type), false));
  TFPRUNE_RETURN_IF_ERROR(CheckTensor("output", y, TypeOf(type), false));
  if (type != ActivationType::kFloat32) {
    const PackedWeights& w = data.weights;
    TFPRUNE_RETURN_IF_ERROR(CheckQuantization("input", x, w.input_scale, w.input_zero_point));
    TFPRUNE_RETURN_IF_ERROR(CheckQuantization("output", y, w.output_scale, w.output_zero_point));
  }
  if (bias == nullptr) return {};
  const bool wide = type == ActivationType::kInt16 && bias->type == kTfLiteInt64;
  const TfLiteType wanted = type == ActivationType::kFloat32 ? kTfLiteFloat32 : wide ? kTfLiteInt64 : kTfLiteInt32;
  return CheckTensor("bias", *bias, wanted, data.weights.has_integers());
}

Status PreparePlan(TfLiteContext* context, const TfLiteTensor* bias, const ImageSize& in, OpData* data) {
  const uint32_t threads = data->state->Threads(context->recommended_num_threads);
  const void* constant = bias == nullptr ? nullptr : bias->data.raw_const;
  if (data->int16()) {
    const IntegerBias integers = {constant, bias != nullptr && bias->type == kTfLiteInt64};
    return data->int16_plan.Prepare(data->weights, integers, in, data->state->arch(), threads);
  }
  if (!data->int8()) {
    const SharedState& state = *data->state;
    if (!Conv2DPlan::ReadsHalves(data->weights, in, state.arch(), state.precision()))
      TFPRUNE_RETURN_IF_ERROR(ExpandHalves(&data->weights, data->state->pool(), threads));
    TFPRUNE_RETURN_IF_ERROR(
        data->plan.Prepare(data->weights, in, state.arch(), threads, state.precision(), {}, data->state->pool()));
    return TuneConv(data->weights, data->packed_crc, in, threads, data->state, &data->plan, &data->tuned);
  }
  return data->int8_plan.Prepare(data->weights, constant, in, data->state->arch(), threads);
}

Status PrepareOp(TfLiteContext* context, const TfLiteNode& node, OpData* data) {
  if (data->version != kSparseOpVersion) {
    return Error(
        "op version %d is unknown, this library runs version %d; use a newer libtfprune, in an app the AAR "
        "of the version that converted the model",
        data->version, kSparseOpVersion);
  }
  // LiteRT lets any input or output be left out.
  if (data->inputs[kInput] < 0 || data->inputs[kPacked] < 0 || data->inputs[kGeometry] < 0 || data->output < 0) {
    return Error("the op needs 3 or 4 inputs and 1 output");
  }
  const TfLiteTensor& x = context->tensors[data->inputs[kInput]];
  const TfLiteTensor& packed = context->tensors[data->inputs[kPacked]];
  const TfLiteTensor& geometry = context->tensors[data->inputs[kGeometry]];
  const TfLiteTensor* bias = data->inputs[kBias] < 0 ? nullptr : &context->tensors[data->inputs[kBias]];
  TFPRUNE_RETURN_IF_ERROR(CheckTensor("packed weights", packed, kTfLiteUInt8, true));
  TFPRUNE_RETURN_IF_ERROR(CheckTensor("geometry", geometry, kTfLiteInt8, false));
  TFPRUNE_RETURN_IF_ERROR(ReadWeights(packed, data));
  TFPRUNE_RETURN_IF_ERROR(CheckTypes(*data, x, bias, context->tensors[data->output]));
  if (bias != nullptr &&
      (bias->dims->size != 1 || bias->dims->data[0] != static_cast<int64_t>(data->weights.out_channels))) {
    return Error("bias must have shape [%u]", data->weights.out_channels);
  }
  ImageSize in = {};
  int features = 0;
  if (data->op == Op::kConv2D) {
    TFPRUNE_RETURN_IF_ERROR(ConvShapes(*data, x, geometry, &in));
  } else {
    TFPRUNE_RETURN_IF_ERROR(FullyConnectedShapes(*data, x, geometry, &in, &features));
  }
  TFPRUNE_RETURN_IF_ERROR(PreparePlan(context, bias, in, data));
  return ResizeOutput(context, node, data->output, OutputDims(*data, x, features));
}

Status InvokeOp(TfLiteContext* context, OpData* data) {
  TfLiteTensor& y = context->tensors[data->output];
  const ImageSize out = data->shape().out;
  if (out.batch == 0 || out.height == 0 || out.width == 0) return {};
  const size_t values = size_t{out.batch} * out.height * out.width * data->weights.out_channels;
  const TfLiteTensor& x = context->tensors[data->inputs[kInput]];
  const size_t value_bytes = BytesOf(data->weights.activation_type);
  if (x.data.raw_const == nullptr || y.data.raw == nullptr || y.bytes < values * value_bytes)
    return Error("input or output has no memory");
  const float* bias = data->inputs[kBias] < 0 ? nullptr : context->tensors[data->inputs[kBias]].data.f;
  Workspace* workspace = data->state->Acquire();
  if (workspace == nullptr) return Error("no memory for scratch");
  const uint64_t start = data->state->profile() ? Nanoseconds() : 0;
  ThreadPool* pool = data->state->pool();
  const bool done = data->int16()  ? data->int16_plan.Run(x.data.raw_const, y.data.raw, pool, workspace)
                    : data->int8() ? data->int8_plan.Run(x.data.raw_const, y.data.raw, pool, workspace)
                                   : data->plan.Run(x.data.f, bias, y.data.f, pool, workspace);
  if (data->state->profile()) data->times.Add(Nanoseconds() - start);
  data->state->GiveBack(workspace);
  if (!done) return Error("no memory for scratch");
  SetLastKernelName(data->kernel_name());
  return {};
}

TfLiteStatus Report(TfLiteContext* context, const OpData* data, const Status& status) {
  if (status.ok()) return kTfLiteOk;
  context->ReportError(context, "%s: %s. ", data->op == Op::kConv2D ? kConv2D : kFullyConnected, status.message);
  return kTfLiteError;
}

void KeepTensors(const TfLiteNode& node, OpData* data) {
  if ((node.inputs->size != 3 && node.inputs->size != 4) || node.outputs->size != 1) return;
  for (int i = 0; i < node.inputs->size; ++i) data->inputs[i] = node.inputs->data[i];
  data->output = node.outputs->data[0];
}

void* Init(TfLiteContext* context, const char* buffer, size_t) {
  const TfLiteDelegateParams* params = reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  TfLiteNode* node = nullptr;
  TfLiteRegistration* registration = nullptr;
  if (!ReplacedNode(context, *params, &node, &registration)) return nullptr;
  OpData* data = Create<OpData>();
  if (data == nullptr) return nullptr;
  data->state = static_cast<SharedState*>(params->delegate->data_)->Retain();
  data->op = strcmp(registration->custom_name, kConv2D) == 0 ? Op::kConv2D : Op::kFullyConnected;
  data->version = registration->version;
  data->node = params->nodes_to_replace->data[0];
  data->describe = DescribeOp;
  data->state->Enter(data);
  // The delegate node lists its tensors in an order of its own: keep the op's.
  KeepTensors(*node, data);
  return data;
}

template <Op kOp>
void* InitRegistered(TfLiteContext*, const char*, size_t) {
  OpData* data = NewRegistered<OpData>(DescribeOp);
  if (data == nullptr) return nullptr;
  data->op = kOp;
  data->version = kSparseOpVersion;
  return data;
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  OpData* data = static_cast<OpData*>(node->user_data);
  if (data == nullptr) {
    context->ReportError(context, "tfprune: no memory for an op");
    return kTfLiteError;
  }
  const PreparationLock lock(data);
  return Report(context, data, PrepareOp(context, *node, data));
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  OpData* data = static_cast<OpData*>(node->user_data);
  return Report(context, data, InvokeOp(context, data));
}

}  // namespace

Status CheckConvGeometry(const PackedWeights& w, const TfLiteTensor& geometry) {
  const bool same = w.padding == Padding::kSame;
  const uint32_t expected[] = {w.out_channels, w.stride_h, w.stride_w, same ? 1 : (w.kernel_h - 1) * w.dilation_h + 1,
                               same ? 1 : (w.kernel_w - 1) * w.dilation_w + 1};
  return CheckGeometryDims(geometry, expected, 5);
}

bool IsTfpruneConv2D(const char* custom_name) { return custom_name != nullptr && strcmp(custom_name, kConv2D) == 0; }

bool IsTfpruneOp(const char* custom_name) {
  return IsTfpruneConv2D(custom_name) || (custom_name != nullptr && strcmp(custom_name, kFullyConnected) == 0);
}

TfLiteRegistration SparseOpRegistration() {
  return KernelRegistration("TfpruneDelegate", Init, FreeKernel<OpData>, Prepare, Invoke);
}

TfLiteRegistration NamedSparseOpRegistration(const char* name) {
  const bool conv = IsTfpruneConv2D(name);
  return NamedRegistration(conv ? kConv2D : kFullyConnected,
                           conv ? InitRegistered<Op::kConv2D> : InitRegistered<Op::kFullyConnected>,
                           FreeRegistered<OpData>, PrepareRegistered<OpData, KeepTensors, Prepare>, Invoke);
}

void SetLastKernelName(const char* name) { __atomic_store_n(&last_kernel_name, name, __ATOMIC_RELAXED); }

const char* LastKernelName() { return __atomic_load_n(&last_kernel_name, __ATOMIC_RELAXED); }

}  // namespace tfprune
