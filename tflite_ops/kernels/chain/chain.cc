// SPDX-License-Identifier: Apache-2.0
// What a chain decides before data arrive: tiles, plans and kernels of its stages.
#include <math.h>

#include "tflite_ops/kernels/chain/stage.h"

namespace tfprune {
namespace {

DepthwiseShape WindowOf(const StageSpec& spec) {
  const ConvShape& shape = spec.shape;
  return {shape.in.height, shape.in.width, shape.out.height, shape.out.width, spec.kernel_h, spec.kernel_w,
          spec.stride_h,   spec.stride_w,  spec.dilation_h,  spec.dilation_w, shape.pad_top, shape.pad_left};
}

}  // namespace

Chain::~Chain() { KeepStages(0); }

void Chain::KeepStages(uint32_t count) {
  while (stage_count_ > count) Destroy(stages_[--stage_count_]);
}

Status Chain::Prepare(const ChainSpec& spec, uint32_t batch, Arch arch, uint32_t threads, uint32_t step_budget) {
  batch_ = batch;
  step_budget_ = step_budget;
  threads_ = threads == 0 ? 1 : threads > kMaxThreads ? kMaxThreads : threads;
  TFPRUNE_RETURN_IF_ERROR(PrepareTensors(spec, arch));
  TFPRUNE_RETURN_IF_ERROR(PrepareStages(spec));
  ChooseTiles();
  for (uint32_t s = 0; s < stage_count_; ++s) TFPRUNE_RETURN_IF_ERROR(PrepareStage(stages_[s], arch));
  TFPRUNE_RETURN_IF_ERROR(MakeSchedule());
  TFPRUNE_RETURN_IF_ERROR(PlaceTensors());
  scratch_floats_ = 0;
  for (uint32_t s = 0; s < stage_count_; ++s) {
    const size_t floats = ScratchFloats(*stages_[s]);
    if (floats > scratch_floats_) scratch_floats_ = floats;
  }
  scratch_floats_ = (scratch_floats_ + kMaxLanes - 1) / kMaxLanes * kMaxLanes;
  return {};
}

Status Chain::PrepareTensors(const ChainSpec& spec, Arch arch) {
  // The narrowest tile of the pointwise layers: the others have narrower versions for it.
  block_ = static_cast<uint32_t>(kMaxTile);
  for (uint32_t s = 0; s < spec.stage_count; ++s) {
    const StageSpec& stage = spec.stages[s];
    if (stage.kind != StageKind::kConv || !IsPointwise(stage)) continue;
    const uint32_t tile = PointwiseTile(*stage.packed, arch);
    if (tile < block_) block_ = tile;
  }
  if (block_ < kMaxLanes) block_ = static_cast<uint32_t>(kMaxLanes);
  tensor_count_ = spec.tensor_count;
  if (!tensors_.Reserve(tensor_count_ + 1)) return Error("chain: no memory for %u tensors", tensor_count_);
  for (uint32_t t = 0; t < tensor_count_; ++t) {
    const TensorSpec& tensor = spec.tensors[t];
    size_t floats = 0;
    if (!CheckedMultiply(tensor.height, tensor.width, &floats) || floats > UINT32_MAX / 4 || floats == 0 ||
        !CheckedMultiply(floats + kMaxTile, tensor.channels, &floats) || floats > SIZE_MAX / 16 || floats == 0) {
      return Error("chain: a tensor of %u x %u x %u values cannot be laid out", tensor.height, tensor.width,
                   tensor.channels);
    }
    tensors_[t] = {};
    tensors_[t].spec = tensor;
    const uint32_t tile = BlockOf(tensor);
    tensors_[t].image = {nullptr, tensor.channels, tile, 0, tile};
  }
  return {};
}

// An image that fits into the widest tile is one block.
uint32_t Chain::BlockOf(const TensorSpec& tensor) const {
  const uint32_t pixels = tensor.height * tensor.width, lanes = static_cast<uint32_t>(kMaxLanes);
  return pixels <= kMaxTile ? (pixels + lanes - 1) / lanes * lanes : block_;
}

Status Chain::PrepareStages(const ChainSpec& spec) {
  // For another shape of the same layers their objects stay, with what was made of their weights.
  KeepStages(spec.stage_count <= stages_.capacity() ? spec.stage_count : 0);
  if (!stages_.Reserve(spec.stage_count + 1)) return Error("chain: no memory for %u layers", spec.stage_count);
  for (uint32_t s = 0; s < spec.stage_count; ++s) {
    if (s == stage_count_) {
      stages_[s] = Create<Stage>();
      if (stages_[s] == nullptr) return Error("chain: no memory for %u layers", spec.stage_count);
      ++stage_count_;
    }
    Stage* stage = stages_[s];
    stage->spec = spec.stages[s];
    stage->done = 0;
    const bool reads = stage->InputCount() > 0;
    stage->in = tensors_[reads ? stage->spec.inputs[0] : stage->spec.output].spec;
    stage->out = stage->WritesTensor() ? tensors_[stage->spec.output].spec : stage->in;
    stage->window = WindowOf(stage->spec);
    ChooseStepRows(stage);
  }
  return {};
}

// Depthwise kernels read one channel's taps after the other. Another shape of the image changes nothing about them.
Status Chain::ReorderDepthwise(Stage* stage) {
  const StageSpec& spec = stage->spec;
  const size_t taps = size_t{spec.kernel_h} * spec.kernel_w, channels = stage->out.channels, count = taps * channels;
  if (stage->reordered_from == spec.weights && stage->reordered_count == count) return {};
  stage->reordered_from = nullptr;
  if (!stage->weights.Reserve(count)) return Error("chain: no memory for depthwise weights");
  for (size_t tap = 0; tap < taps; ++tap) {
    for (size_t c = 0; c < channels; ++c) stage->weights[c * taps + tap] = spec.weights[tap * channels + c];
  }
  stage->reordered_from = spec.weights;
  stage->reordered_count = count;
  return {};
}

Status Chain::PrepareStage(Stage* stage, Arch arch) const {
  const StageSpec& spec = stage->spec;
  stage->kernels = GetKernels(arch, Encoding::kRowBand, 4);
  stage->planes = GetPlaneKernels(arch);
  switch (spec.kind) {
    case StageKind::kConv:
      TFPRUNE_RETURN_IF_ERROR(stage->conv.PrepareTiled(*spec.packed, spec.shape, arch, BlockOf(stage->out),
                                                       tensors_[spec.inputs[0]].image.stride, stage->step_rows,
                                                       threads_));
      if (!spec.adds) return {};
      if (!stage->conv.pointwise()) return Error("chain: only a pointwise layer adds");
      stage->conv.SetBounds(spec.low, spec.high);
      return {};
    case StageKind::kDepthwise:
      stage->depthwise = GetDepthwiseKernel(arch, stage->window);
      return ReorderDepthwise(stage);
    default:
      return {};
  }
}

Status Chain::StartProfile(uint64_t (*clock)()) {
  if (!stage_time_.Reserve(stage_count_ + 1)) return Error("chain: no memory for its profile");
  for (uint32_t s = 0; s < stage_count_; ++s) stage_time_[s] = 0;
  clock_ = clock;
  runs_ = 0;
  return {};
}

TiledImage Chain::TensorImage(uint32_t tensor, size_t* offset) const {
  *offset = tensors_[tensor].offset + kDepthwiseReach;
  TiledImage image = tensors_[tensor].image;
  image.data = nullptr;
  return image;
}

WeightBytes Chain::StageWeightBytes(uint32_t stage) const {
  const Stage& s = *stages_[stage];
  if (s.spec.kind == StageKind::kConv) return s.conv.weight_bytes();
  WeightBytes bytes;
  if (s.reordered_from != nullptr) bytes.repacked = s.reordered_count * sizeof(float);
  return bytes;
}

const char* Chain::StageKernel(uint32_t stage) const {
  const Stage& s = *stages_[stage];
  switch (s.spec.kind) {
    case StageKind::kImport:
      return "import";
    case StageKind::kConv:
      return s.conv.kernel_name();
    case StageKind::kDepthwise:
      return s.depthwise.name;
    case StageKind::kAdd:
      return "add";
    case StageKind::kAveragePool:
      return "average_pool";
    case StageKind::kMaxPool:
      return "max_pool";
    case StageKind::kMean:
      return "mean";
    case StageKind::kExport:
      return "export";
  }
  return "";
}

}  // namespace tfprune
