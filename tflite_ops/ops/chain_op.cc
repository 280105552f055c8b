// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/chain_op.h"

#include <stdlib.h>
#include <string.h>

#include "tflite_ops/base/crc32.h"
#include "tflite_ops/base/memory.h"
#include "tflite_ops/ops/delegate_kernel.h"
#include "tflite_ops/ops/float_constants.h"
#include "tflite_ops/ops/planar_node.h"
#include "tflite_ops/ops/shared_state.h"
#include "tflite_ops/ops/sparse_op.h"
#include "tflite_ops/ops/tensors.h"
#include "tflite_ops/ops/tune_layers.h"

namespace tfprune {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

// A tensor of the interpreter as the chain knows it.
struct Link {
  int tensor;            // the interpreter's number
  uint32_t planar;       // the chain's number; kNone for what a PAD writes
  TensorSpec spec;       // before padding
  uint32_t pads[4];      // of a PAD
  uint32_t padded_from;  // planar number of a PAD's input
};

// Constants of a node; null where it has none.
struct NodeConstants {
  const float *weights, *bias;
};

struct ChainData : Described {
  SharedState* state = nullptr;
  const char* problem = nullptr;  // why Init could not read the nodes
  AlignedArray<PlanarNode> nodes;
  AlignedArray<NodeConstants> constants;  // of each
  FloatValues values;
  uint32_t node_count = 0;
  PackedWeights* packed = nullptr;  // [node_count], of the convolutions
  uint32_t packed_crc = 0;          // of all of them, with tuning
  AlignedArray<int> outputs;
  uint32_t output_count = 0;

  // Made by Prepare.
  AlignedArray<Link> links;
  uint32_t link_count = 0;
  AlignedArray<TensorSpec> tensors;
  uint32_t tensor_count = 0;
  AlignedArray<StageSpec> stages;
  uint32_t stage_count = 0;
  uint32_t prepared_stages = 0;        // those of `chain`; none after a Prepare that failed
  AlignedArray<int> imports, exports;  // the interpreter's tensors
  uint32_t import_count = 0, export_count = 0;
  AlignedArray<const float*> inputs;
  AlignedArray<float*> results;
  uint32_t batch = 0;
  Chain chain;
  Tuned tuned;

  ~ChainData() {
    for (uint32_t i = 0; packed != nullptr && i < node_count; ++i) packed[i].~PackedWeights();
    free(packed);
  }
};

void DescribeChain(const Described* self, uint32_t op, Text* text) {
  const ChainData& data = *static_cast<const ChainData*>(self);
  for (uint32_t s = 0; s < data.prepared_stages; ++s) {
    text->Add("%u\t%u\t%s\t%llu\t%llu\t", op, data.stages[s].node, data.chain.StageKernel(s),
              static_cast<unsigned long long>(data.chain.StageNanoseconds(s)),
              static_cast<unsigned long long>(data.chain.runs()));
    DescribeTunedChain(data.tuned, text);
    DescribeWeights(data.chain.StageWeightBytes(s), text);
    if (!data.stages[s].adds) continue;
    text->Add("%u\t%u\tadd_in_convolution\t0\t%llu\t", op, data.stages[s].adds_node,
              static_cast<unsigned long long>(data.chain.runs()));
    DescribeWeights({}, text);
  }
}

Link* FindLink(ChainData* data, int tensor) {
  for (uint32_t i = 0; i < data->link_count; ++i) {
    if (data->links[i].tensor == tensor) return &data->links[i];
  }
  return nullptr;
}

bool IsOutput(const ChainData& data, int tensor) {
  for (uint32_t i = 0; i < data.output_count; ++i) {
    if (data.outputs[i] == tensor) return true;
  }
  return false;
}

Link* AddLink(ChainData* data, int tensor, const TensorSpec& spec) {
  data->tensors[data->tensor_count] = spec;
  data->links[data->link_count] = {tensor, data->tensor_count++, spec, {0, 0, 0, 0}, kNone};
  return &data->links[data->link_count++];
}

StageSpec* AddStage(ChainData* data, StageKind kind, uint32_t node) {
  StageSpec* stage = &data->stages[data->stage_count++];
  *stage = {};
  stage->kind = kind;
  stage->node = node;
  return stage;
}

Status ReserveAll(ChainData* data) {
  const size_t nodes = data->node_count;
  // A node reads at most two new tensors and writes one, and each of those may be imported or exported.
  if (!data->links.Reserve(3 * nodes + 1) || !data->tensors.Reserve(3 * nodes + 1) ||
      !data->stages.Reserve(4 * nodes + 1) || !data->imports.Reserve(2 * nodes + 1) ||
      !data->exports.Reserve(nodes + 1) || !data->inputs.Reserve(2 * nodes + 1) || !data->results.Reserve(nodes + 1)) {
    return Error("no memory for a chain of %u layers", data->node_count);
  }
  data->link_count = data->tensor_count = data->stage_count = data->import_count = data->export_count = 0;
  return {};
}

// The link of a tensor that a node reads; what no node of the chain has written is imported.
Status InputLink(TfLiteContext* context, ChainData* data, const PlanarNode& node, int tensor, Link* found) {
  const Link* known = FindLink(data, tensor);
  if (known == nullptr) {
    const TfLiteTensor& x = context->tensors[tensor];
    TFPRUNE_RETURN_IF_ERROR(CheckTensor("input", x, kTfLiteFloat32, false));
    if (x.dims->size != 4) return Error("input must have 4 dimensions [N, H, W, C], got %d", x.dims->size);
    for (int i = 0; i < 4; ++i) {
      if (x.dims->data[i] < (i == 0 ? 0 : 1)) return Error("input dimension %d is %d", i, x.dims->data[i]);
    }
    const uint32_t batch = static_cast<uint32_t>(x.dims->data[0]);
    if (data->import_count > 0 && batch != data->batch)
      return Error("inputs have %u and %u images", data->batch, batch);
    data->batch = batch;
    known = AddLink(data, tensor,
                    {static_cast<uint32_t>(x.dims->data[1]), static_cast<uint32_t>(x.dims->data[2]),
                     static_cast<uint32_t>(x.dims->data[3])});
    StageSpec* stage = AddStage(data, StageKind::kImport, static_cast<uint32_t>(node.node));
    stage->output = known->planar;
    stage->external = data->import_count;
    data->imports[data->import_count++] = tensor;
  }
  *found = *known;
  return {};
}

Status AddPad(ChainData* data, const PlanarNode& node, const Link& in) {
  if (in.planar == kNone || IsOutput(*data, node.output)) return Error("a PAD stands where the chain cannot fold it");
  Link* out = &data->links[data->link_count++];
  *out = {node.output, kNone, in.spec, {node.pads[0], node.pads[1], node.pads[2], node.pads[3]}, in.planar};
  return {};
}

// Writes an output of the chain to the interpreter.
void AddExport(ChainData* data, StageKind kind, const PlanarNode& node, uint32_t planar) {
  StageSpec* stage = AddStage(data, kind, static_cast<uint32_t>(node.node));
  stage->inputs[0] = planar;
  stage->external = data->export_count;
  data->exports[data->export_count++] = node.output;
}

Status ResizeOutput(TfLiteContext* context, const PlanarNode& node, uint32_t batch, const TensorSpec& spec) {
  TfLiteTensor* y = &context->tensors[node.output];
  const int rank = node.kind == StageKind::kMean && !node.keep_dims ? 2 : 4;
  TfLiteIntArray* dims = NewDims(rank);
  if (dims == nullptr) return Error("no memory");
  const bool mean = node.kind == StageKind::kMean;
  const int sizes[] = {static_cast<int>(batch), mean ? 1 : static_cast<int>(spec.height),
                       mean ? 1 : static_cast<int>(spec.width), static_cast<int>(spec.channels)};
  for (int i = 0; i < rank; ++i) dims->data[i] = rank == 4 ? sizes[i] : sizes[3 * i];
  if (context->ResizeTensor(context, y, dims) != kTfLiteOk) return Error("an output could not be resized");
  return {};
}

void FillStage(const ChainData& data, uint32_t index, const ConvShape& shape, StageSpec* stage) {
  const PlanarNode& node = data.nodes[index];
  stage->shape = shape;
  stage->kernel_h = node.kernel_h;
  stage->kernel_w = node.kernel_w;
  stage->stride_h = node.stride_h;
  stage->stride_w = node.stride_w;
  stage->dilation_h = node.dilation_h;
  stage->dilation_w = node.dilation_w;
  stage->weights = data.constants[index].weights;
  stage->bias = data.constants[index].bias;
  if (node.kind == StageKind::kConv) stage->packed = &data.packed[index];
  ActivationBounds(node.activation, &stage->low, &stage->high);
}

uint32_t ReaderCount(const ChainData& data, int tensor) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < data.node_count; ++i) {
    for (const int input : data.nodes[i].inputs) count += input == tensor;
  }
  return count;
}

// The stage that writes a tensor of the chain; kNone where there is none.
uint32_t WriterOf(const ChainData& data, uint32_t planar) {
  for (uint32_t s = 0; s < data.stage_count; ++s) {
    const StageKind kind = data.stages[s].kind;
    if (kind != StageKind::kExport && kind != StageKind::kMean && data.stages[s].output == planar) return s;
  }
  return kNone;
}

// A pointwise convolution whose only reader is the addition can add by itself, where the other input is there before
// it.
bool TryAddInConv(ChainData* data, const PlanarNode& node, const Link& conv, const Link& other) {
  const uint32_t writer = WriterOf(*data, conv.planar), before = WriterOf(*data, other.planar);
  if (writer == kNone || before == kNone || before >= writer || conv.planar == other.planar) return false;
  StageSpec* stage = &data->stages[writer];
  if (stage->kind != StageKind::kConv || stage->adds || !IsPointwise(*stage) ||
      stage->packed->activation != Activation::kNone || IsOutput(*data, conv.tensor) ||
      ReaderCount(*data, conv.tensor) != 1) {
    return false;
  }
  stage->adds = true;
  stage->adds_node = static_cast<uint32_t>(node.node);
  stage->inputs[1] = other.planar;
  ActivationBounds(node.activation, &stage->low, &stage->high);
  // The convolution's tensor becomes the sum's.
  Link* link = &data->links[data->link_count++];
  *link = {node.output, conv.planar, conv.spec, {0, 0, 0, 0}, kNone};
  return true;
}

// Exports a tensor that leaves the chain.
Status Finish(TfLiteContext* context, ChainData* data, const PlanarNode& node, uint32_t planar,
              const TensorSpec& spec) {
  if (!IsOutput(*data, node.output)) return {};
  AddExport(data, StageKind::kExport, node, planar);
  return ResizeOutput(context, node, data->batch, spec);
}

Status AddNode(TfLiteContext* context, ChainData* data, uint32_t index) {
  const PlanarNode& node = data->nodes[index];
  if (node.is_widening) return {};
  Link in = {}, second = {};
  TFPRUNE_RETURN_IF_ERROR(InputLink(context, data, node, node.inputs[0], &in));
  if (node.is_pad) return AddPad(data, node, in);
  if (node.kind == StageKind::kAdd) {
    TFPRUNE_RETURN_IF_ERROR(InputLink(context, data, node, node.inputs[1], &second));
    if (memcmp(&in.spec, &second.spec, sizeof(TensorSpec)) != 0) return Error("an ADD has inputs of two shapes");
  }
  const bool folds = node.kind == StageKind::kConv || node.kind == StageKind::kDepthwise;
  if ((in.planar == kNone && !folds) || (node.kind == StageKind::kAdd && second.planar == kNone)) {
    return Error("a PAD stands where the chain cannot fold it");
  }
  if (node.kind == StageKind::kMean) {
    AddExport(data, StageKind::kMean, node, in.planar);
    return ResizeOutput(context, node, data->batch, in.spec);
  }
  if (node.kind == StageKind::kAdd) {
    for (int side = 0; side < 2; ++side) {
      const Link &conv = side == 0 ? in : second, &other = side == 0 ? second : in;
      if (TryAddInConv(data, node, conv, other)) return Finish(context, data, node, conv.planar, conv.spec);
    }
  }
  ConvShape shape = {};
  TensorSpec spec = {};
  TFPRUNE_RETURN_IF_ERROR(InferPlanarShape(node, in.spec, in.pads, &shape, &spec));
  if (node.kind == StageKind::kConv && data->packed[index].in_channels != in.spec.channels) {
    return Error("input has %u channels, the weights have %u", in.spec.channels, data->packed[index].in_channels);
  }
  if (node.kind == StageKind::kDepthwise && node.out_channels % in.spec.channels != 0) {
    return Error("input has %u channels, the depthwise weights %u", in.spec.channels, node.out_channels);
  }
  const uint32_t planar = AddLink(data, node.output, spec)->planar;
  StageSpec* stage = AddStage(data, node.kind, static_cast<uint32_t>(node.node));
  stage->inputs[0] = in.planar == kNone ? in.padded_from : in.planar;
  stage->inputs[1] = second.planar;
  stage->output = planar;
  FillStage(*data, index, shape, stage);
  return Finish(context, data, node, planar, spec);
}

Status PrepareChain(TfLiteContext* context, ChainData* data) {
  data->prepared_stages = 0;
  if (data->problem != nullptr) return Error("%s", data->problem);
  TFPRUNE_RETURN_IF_ERROR(ReserveAll(data));
  for (uint32_t i = 0; i < data->node_count; ++i) TFPRUNE_RETURN_IF_ERROR(AddNode(context, data, i));
  ChainSpec spec;
  spec.tensors = data->tensors.data();
  spec.tensor_count = data->tensor_count;
  spec.stages = data->stages.data();
  spec.stage_count = data->stage_count;
  const uint32_t threads = data->state->Threads(context->recommended_num_threads);
  // Once: what is expanded stays so.
  for (uint32_t i = 0; i < data->node_count; ++i)
    TFPRUNE_RETURN_IF_ERROR(ExpandHalves(&data->packed[i], data->state->pool(), threads));
  uint32_t step_budget = kStepBudget;
  TuneChain(spec, data->packed_crc, data->batch, threads, data->state, &data->tuned, &step_budget);
  TFPRUNE_RETURN_IF_ERROR(data->chain.Prepare(spec, data->batch, data->state->arch(), threads, step_budget));
  if (data->state->profile()) TFPRUNE_RETURN_IF_ERROR(data->chain.StartProfile(Nanoseconds));
  data->prepared_stages = data->stage_count;
  return {};
}

// Of the sparse convolutions; every chain has one.
const char* LastConvKernel(const ChainData& data) {
  uint32_t s = data.stage_count;
  while (s > 1 && data.stages[s - 1].kind != StageKind::kConv) --s;
  return data.chain.StageKernel(s - 1);
}

Status InvokeChain(TfLiteContext* context, ChainData* data) {
  if (data->batch == 0) return {};
  for (uint32_t i = 0; i < data->import_count; ++i) {
    data->inputs[i] = context->tensors[data->imports[i]].data.f;
    if (data->inputs[i] == nullptr) return Error("an input has no memory");
  }
  for (uint32_t i = 0; i < data->export_count; ++i) {
    data->results[i] = context->tensors[data->exports[i]].data.f;
    if (data->results[i] == nullptr) return Error("an output has no memory");
  }
  Workspace* workspace = data->state->Acquire();
  if (workspace == nullptr) return Error("no memory for scratch");
  const bool done = data->chain.Run(data->inputs.data(), data->results.data(), data->state->pool(), workspace);
  data->state->GiveBack(workspace);
  if (!done) return Error("no memory for scratch");
  SetLastKernelName(LastConvKernel(*data));
  return {};
}

TfLiteStatus Report(TfLiteContext* context, const Status& status) {
  if (status.ok()) return kTfLiteOk;
  context->ReportError(context, "tfprune chain: %s. ", status.message);
  return kTfLiteError;
}

// Finds the constants of all nodes. False without memory.
bool ReadConstants(const TfLiteContext& context, ChainData* data) {
  size_t halves = 0;
  for (uint32_t i = 0; i < data->node_count; ++i) {
    halves += FloatValues::HalvesIn(context, data->nodes[i].weights);
    halves += FloatValues::HalvesIn(context, data->nodes[i].bias);
  }
  if (!data->values.Reserve(halves) || !data->constants.Reserve(size_t{data->node_count} + 1)) return false;
  for (uint32_t i = 0; i < data->node_count; ++i) {
    const PlanarNode& node = data->nodes[i];
    data->constants[i] = {data->values.Of(context, node.weights), data->values.Of(context, node.bias)};
  }
  return true;
}

// Reads the nodes and their packed weights; null or a reason where that fails.
const char* ReadNodes(TfLiteContext* context, const TfLiteDelegateParams& params, ChainData* data) {
  const TfLiteIntArray& nodes = *params.nodes_to_replace;
  const size_t count = static_cast<size_t>(nodes.size);
  if (!data->nodes.Reserve(count + 1) || !data->outputs.Reserve(static_cast<size_t>(params.output_tensors->size) + 1)) {
    return "no memory";
  }
  data->packed = static_cast<PackedWeights*>(calloc(count, sizeof(PackedWeights)));
  // Constants are widened by nodes of the chain or by nodes before it. The plan holds these already, and no others.
  FloatConstants constants;
  TfLiteIntArray* plan = nullptr;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) return "the execution plan cannot be read";
  if (data->packed == nullptr || !constants.Read(context, *plan) || !constants.Read(context, nodes)) {
    return "no memory";
  }
  for (int i = 0; i < nodes.size; ++i) {
    ::new (&data->packed[i]) PackedWeights();
    PlanarNode& node = data->nodes[data->node_count++];
    if (!ReadPlanarNode(context, constants, nodes.data[i], &node)) return "a layer changed after it was claimed";
    if (node.packed < 0) continue;
    const TfLiteTensor& packed = context->tensors[node.packed];
    Status status = ReadPackedWeights(packed.data.raw_const, packed.bytes, &data->packed[i]);
    if (status.ok() && data->state->tuning() != nullptr)
      data->packed_crc = Crc32(packed.data.raw_const, packed.bytes, data->packed_crc);
    if (!status.ok()) {
      Report(context, status);
      return "its packed weights cannot be read";
    }
  }
  for (int i = 0; i < params.output_tensors->size; ++i)
    data->outputs[data->output_count++] = params.output_tensors->data[i];
  if (!ReadConstants(*context, data)) return "no memory";
  return nullptr;
}

void* Init(TfLiteContext* context, const char* buffer, size_t) {
  const TfLiteDelegateParams* params = reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  ChainData* data = Create<ChainData>();
  if (data == nullptr) return nullptr;
  data->state = static_cast<SharedState*>(params->delegate->data_)->Retain();
  data->problem = ReadNodes(context, *params, data);
  data->describe = DescribeChain;
  data->state->Enter(data);
  return data;
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  ChainData* data = static_cast<ChainData*>(node->user_data);
  if (data == nullptr) return Report(context, Error("no memory"));
  const PreparationLock lock(data);
  return Report(context, PrepareChain(context, data));
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  return Report(context, InvokeChain(context, static_cast<ChainData*>(node->user_data)));
}

}  // namespace

TfLiteRegistration ChainOpRegistration() {
  return KernelRegistration("TfpruneChain", Init, FreeKernel<ChainData>, Prepare, Invoke);
}

}  // namespace tfprune
