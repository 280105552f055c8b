// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/lstm_op.h"

#include <string.h>

#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/formats/packed_weights.h"
#include "tflite_ops/kernels/lstm/sequence.h"
#include "tflite_ops/ops/delegate_kernel.h"
#include "tflite_ops/ops/shared_state.h"
#include "tflite_ops/ops/sparse_op.h"
#include "tflite_ops/ops/tensors.h"
#include "tflite_ops/ops/tune_layers.h"

namespace tfprune {
namespace {

constexpr char kLstm[] = "TfpruneLSTM";
constexpr int kVersion = 1;
// docs/formats.md says what they are.
enum Input { kX, kInputWeights, kRecurrentWeights, kGeometry, kBias, kCellClip, kHidden, kCell, kInputCount };
constexpr const char* kNames[kInputCount] = {"input", "input weights", "recurrent weights", "geometry",
                                             "bias",  "cell clip",     "hidden state",      "cell state"};

// One of the two weight matrices and where it was read from.
struct Weights {
  const void* data = nullptr;
  PackedWeights packed;
};

struct OpData : Described {
  SharedState* state = nullptr;
  int node = 0, version = 0;
  RunTimes times;
  int inputs[kInputCount] = {-1, -1, -1, -1, -1, -1, -1, -1};
  int output = -1;
  Weights input, recurrent;
  LstmPlan plan;
  size_t x_bytes = 0, y_bytes = 0, state_bytes = 0;
};

// One line, named after the product of each step, with the weights of both.
void DescribeOp(const Described* self, uint32_t op, Text* text) {
  const OpData& data = *static_cast<const OpData*>(self);
  text->Add("%u\t%d\tlstm/%s\t%llu\t%llu\t", op, data.node, data.plan.recurrent_plan().kernel_name(),
            data.times.nanoseconds(), data.times.runs());
  WeightBytes bytes = data.plan.input_plan().weight_bytes();
  const WeightBytes more = data.plan.recurrent_plan().weight_bytes();
  bytes.in_place += more.in_place;
  bytes.repacked += more.repacked;
  bytes.offsets += more.offsets;
  DescribeWeights(bytes, text);
}

Status CheckShape(const char* name, const TfLiteTensor& tensor, const int64_t* expected, int rank) {
  bool same = tensor.dims->size == rank;
  for (int i = 0; same && i < rank; ++i) same = tensor.dims->data[i] == expected[i];
  return same ? Status{} : Error("the %s has a shape that does not fit the packed weights", name);
}

Status ReadWeights(const OpData& data, const TfLiteTensor& tensor, const ImageSize& pixels, uint32_t threads,
                   Weights* weights) {
  if (weights->data != tensor.data.raw_const) {
    weights->data = nullptr;
    TFPRUNE_RETURN_IF_ERROR(ReadPackedWeights(tensor.data.raw_const, tensor.bytes, &weights->packed));
    weights->data = tensor.data.raw_const;
  }
  if (weights->packed.has_integers() ||
      Conv2DPlan::ReadsHalves(weights->packed, pixels, data.state->arch(), Precision::kF32)) {
    return {};  // LstmPlan refuses int8
  }
  return ExpandHalves(&weights->packed, data.state->pool(), threads);
}

// Scales of float tensors would be read by no one here, and by the ops around this one in a way of their own.
Status CheckActivation(const char* name, const TfLiteTensor& tensor) {
  TFPRUNE_RETURN_IF_ERROR(CheckTensor(name, tensor, kTfLiteFloat32, false));
  if (tensor.quantization.type == kTfLiteNoQuantization) return {};
  return Error("the quantization of the %s contradicts its type, float32", name);
}

Status CheckTypes(TfLiteContext* context, const OpData& data) {
  const auto check = [&](int input, TfLiteType type, bool constant) {
    return CheckTensor(kNames[input], context->tensors[data.inputs[input]], type, constant);
  };
  TFPRUNE_RETURN_IF_ERROR(check(kInputWeights, kTfLiteUInt8, true));
  TFPRUNE_RETURN_IF_ERROR(check(kRecurrentWeights, kTfLiteUInt8, true));
  TFPRUNE_RETURN_IF_ERROR(check(kGeometry, kTfLiteInt8, false));
  TFPRUNE_RETURN_IF_ERROR(check(kBias, kTfLiteFloat32, true));
  TFPRUNE_RETURN_IF_ERROR(check(kCellClip, kTfLiteFloat32, true));
  for (const int activation : {kX, kHidden, kCell}) {
    TFPRUNE_RETURN_IF_ERROR(CheckActivation(kNames[activation], context->tensors[data.inputs[activation]]));
  }
  for (const int state : {kHidden, kCell}) {
    if (!context->tensors[data.inputs[state]].is_variable) return Error("the %s must be a variable", kNames[state]);
  }
  return CheckActivation("output", context->tensors[data.output]);
}

// Sizes of x [batch, steps, features] or [steps, batch, features], and the tensors that depend on them.
Status ReadShapes(TfLiteContext* context, const OpData& data, LstmShape* shape) {
  const TfLiteTensor& x = context->tensors[data.inputs[kX]];
  const TfLiteTensor& geometry = context->tensors[data.inputs[kGeometry]];
  if (x.dims->size != 3) return Error("input must have 3 dimensions, got %d", x.dims->size);
  for (int i = 0; i < 3; ++i) {
    if (x.dims->data[i] < (i == 2 ? 1 : 0)) return Error("input dimension %d is %d", i, x.dims->data[i]);
  }
  if (geometry.dims->size != 2 || geometry.dims->data[0] < 1 || geometry.dims->data[1] < 1 ||
      geometry.dims->data[1] > 2) {
    return Error("geometry must have the shape [units, 1 + time_major]");
  }
  const bool time_major = geometry.dims->data[1] == 2;
  *shape = {static_cast<uint32_t>(x.dims->data[time_major ? 1 : 0]),
            static_cast<uint32_t>(x.dims->data[time_major ? 0 : 1]), time_major};
  const int64_t units = geometry.dims->data[0];
  const int64_t gates[] = {4 * units}, one[] = {1}, state[] = {shape->batch, units};
  TFPRUNE_RETURN_IF_ERROR(CheckShape("bias", context->tensors[data.inputs[kBias]], gates, 1));
  TFPRUNE_RETURN_IF_ERROR(CheckShape("cell clip", context->tensors[data.inputs[kCellClip]], one, 1));
  TFPRUNE_RETURN_IF_ERROR(CheckShape("hidden state", context->tensors[data.inputs[kHidden]], state, 2));
  return CheckShape("cell state", context->tensors[data.inputs[kCell]], state, 2);
}

Status PreparePlan(TfLiteContext* context, const LstmShape& shape, OpData* data) {
  const uint32_t threads = data->state->Threads(context->recommended_num_threads);
  size_t pixels = 0;
  if (!CheckedMultiply(shape.batch, shape.steps, &pixels) || pixels > INT32_MAX) {
    return Error("%u sequences of %u steps are too many", shape.batch, shape.steps);
  }
  const ImageSize all = {static_cast<uint32_t>(pixels), 1, 1}, step = {shape.batch, 1, 1};
  const TfLiteTensor& input = context->tensors[data->inputs[kInputWeights]];
  const TfLiteTensor& recurrent = context->tensors[data->inputs[kRecurrentWeights]];
  TFPRUNE_RETURN_IF_ERROR(ReadWeights(*data, input, all, threads, &data->input));
  TFPRUNE_RETURN_IF_ERROR(ReadWeights(*data, recurrent, step, threads, &data->recurrent));
  const float clip = context->tensors[data->inputs[kCellClip]].data.f[0];
  if (!(clip >= 0.0f)) return Error("the cell clip must be 0 or above");
  TFPRUNE_RETURN_IF_ERROR(
      data->plan.Prepare(data->input.packed, data->recurrent.packed, shape, clip, data->state->arch(), threads));
  const TfLiteIntArray& x_dims = *context->tensors[data->inputs[kX]].dims;
  const int units = context->tensors[data->inputs[kGeometry]].dims->data[0];
  if (data->plan.units() != static_cast<uint32_t>(units) ||
      data->input.packed.in_channels != static_cast<uint32_t>(x_dims.data[2])) {
    return Error("input of %d features and %d units do not fit the packed weights", x_dims.data[2], units);
  }
  size_t x_values = 0, y_values = 0;
  if (!CheckedMultiply(pixels * sizeof(float), static_cast<size_t>(x_dims.data[2]), &x_values) ||
      !CheckedMultiply(pixels * sizeof(float), static_cast<size_t>(units), &y_values)) {
    return Error("%u sequences of %u steps are too many", shape.batch, shape.steps);
  }
  data->x_bytes = x_values;
  data->y_bytes = y_values;
  data->state_bytes = size_t{shape.batch} * static_cast<size_t>(units) * sizeof(float);
  return {};
}

Status PrepareOp(TfLiteContext* context, const TfLiteNode& node, OpData* data) {
  if (data->version != kVersion) {
    return Error(
        "op version %d is unknown, this library runs version %d; use a newer libtfprune, in an app the AAR "
        "of the version that converted the model",
        data->version, kVersion);
  }
  if (data->output < 0) return Error("the op needs %d inputs and 1 output", static_cast<int>(kInputCount));
  TFPRUNE_RETURN_IF_ERROR(CheckTypes(context, *data));
  LstmShape shape = {};
  TFPRUNE_RETURN_IF_ERROR(ReadShapes(context, *data, &shape));
  TFPRUNE_RETURN_IF_ERROR(PreparePlan(context, shape, data));
  TfLiteIntArray* dims = NewDims(3);
  if (dims == nullptr) return Error("no memory for a shape");
  const TfLiteIntArray& x_dims = *context->tensors[data->inputs[kX]].dims;
  dims->data[0] = x_dims.data[0];
  dims->data[1] = x_dims.data[1];
  dims->data[2] = static_cast<int>(data->plan.units());
  return ResizeOutput(context, node, data->output, dims);
}

Status InvokeOp(TfLiteContext* context, OpData* data) {
  if (data->y_bytes == 0) return {};
  const auto tensor = [&](int index) -> const TfLiteTensor& { return context->tensors[index]; };
  const TfLiteTensor &x = tensor(data->inputs[kX]), &y = tensor(data->output);
  const TfLiteTensor &hidden = tensor(data->inputs[kHidden]), &cell = tensor(data->inputs[kCell]);
  if (x.data.raw == nullptr || x.bytes < data->x_bytes || y.data.raw == nullptr || y.bytes < data->y_bytes ||
      hidden.data.raw == nullptr || hidden.bytes < data->state_bytes || cell.data.raw == nullptr ||
      cell.bytes < data->state_bytes) {
    return Error("input, state or output has no memory");
  }
  SharedState* state = data->state;
  Workspace* gates = state->Acquire();
  Workspace* products = gates == nullptr ? nullptr : state->Acquire();
  if (products == nullptr) {
    if (gates != nullptr) state->GiveBack(gates);
    return Error("no memory for scratch");
  }
  const uint64_t start = state->profile() ? Nanoseconds() : 0;
  const LstmTensors tensors = {x.data.f, tensor(data->inputs[kBias]).data.f, hidden.data.f, cell.data.f, y.data.f};
  const bool done = data->plan.Run(tensors, state->pool(), gates, products);
  if (state->profile()) data->times.Add(Nanoseconds() - start);
  state->GiveBack(products);
  state->GiveBack(gates);
  if (!done) return Error("no memory for scratch");
  SetLastKernelName(data->plan.recurrent_plan().kernel_name());
  return {};
}

TfLiteStatus Report(TfLiteContext* context, const Status& status) {
  if (status.ok()) return kTfLiteOk;
  context->ReportError(context, "%s: %s. ", kLstm, status.message);
  return kTfLiteError;
}

// All of them are needed.
void KeepTensors(const TfLiteNode& node, OpData* data) {
  bool complete = node.inputs->size == kInputCount && node.outputs->size == 1;
  for (int i = 0; complete && i < kInputCount; ++i) {
    data->inputs[i] = node.inputs->data[i];
    complete = data->inputs[i] >= 0;
  }
  if (complete) data->output = node.outputs->data[0];
}

void* Init(TfLiteContext* context, const char* buffer, size_t) {
  const TfLiteDelegateParams* params = reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  TfLiteNode* node = nullptr;
  TfLiteRegistration* registration = nullptr;
  if (!ReplacedNode(context, *params, &node, &registration)) return nullptr;
  OpData* data = Create<OpData>();
  if (data == nullptr) return nullptr;
  data->state = static_cast<SharedState*>(params->delegate->data_)->Retain();
  data->version = registration->version;
  data->node = params->nodes_to_replace->data[0];
  data->describe = DescribeOp;
  data->state->Enter(data);
  // The delegate node lists its tensors in an order of its own: keep the op's.
  KeepTensors(*node, data);
  return data;
}

void* InitRegistered(TfLiteContext*, const char*, size_t) {
  OpData* data = NewRegistered<OpData>(DescribeOp);
  if (data != nullptr) data->version = kVersion;
  return data;
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  OpData* data = static_cast<OpData*>(node->user_data);
  if (data == nullptr) return Report(context, Error("no memory for an op"));
  const PreparationLock lock(data);
  return Report(context, PrepareOp(context, *node, data));
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  return Report(context, InvokeOp(context, static_cast<OpData*>(node->user_data)));
}

}  // namespace

bool IsTfpruneLstm(const char* custom_name) { return custom_name != nullptr && strcmp(custom_name, kLstm) == 0; }

TfLiteRegistration LstmOpRegistration() {
  return KernelRegistration("TfpruneDelegate", Init, FreeKernel<OpData>, Prepare, Invoke);
}

TfLiteRegistration NamedLstmOpRegistration() {
  return NamedRegistration(kLstm, InitRegistered, FreeRegistered<OpData>,
                           PrepareRegistered<OpData, KeepTensors, Prepare>, Invoke);
}

}  // namespace tfprune
