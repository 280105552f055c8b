// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/tune_layers.h"

#include <stdio.h>

#include "tflite_ops/base/crc32.h"
#include "tflite_ops/base/version.h"

namespace tfprune {
namespace {

constexpr uint32_t kStepBudgets[] = {kStepBudget, kStepBudget / 2, kStepBudget * 2};
constexpr uint32_t kStepBudgetCount = sizeof(kStepBudgets) / sizeof(kStepBudgets[0]);

const char* OriginOf(const Tuned& tuned) { return tuned.from == Tuned::From::kTiming ? "timed" : "cached"; }

// Values in [-1, 1) that do not depend on the machine.
bool FillRandom(size_t count, AlignedArray<float>* values) {
  if (!values->Reserve(count + kMaxLanes)) return false;
  uint32_t state = 1;
  for (size_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    (*values)[i] = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
  }
  return true;
}

// False where the product does not fit.
bool ValuesOf(uint32_t a, uint32_t b, uint32_t c, uint32_t d, size_t* values) {
  return CheckedMultiply(a, b, values) && CheckedMultiply(*values, c, values) && CheckedMultiply(*values, d, values);
}

Status NoMemory() { return Error("tuning: no memory to time a layer, which runs as without tuning"); }

struct ConvTrial {
  const PackedWeights* weights;
  ImageSize in;
  uint32_t threads;
  SharedState* state;
  uint32_t count = 0;
  ConvChoice choices[kMaxConvChoices];
  Conv2DPlan plans[kMaxConvChoices];
  AlignedArray<float> x, y;
  Workspace workspace;

  Status Prepare() {
    for (uint32_t i = 0; i < count; ++i) {
      TFPRUNE_RETURN_IF_ERROR(plans[i].Prepare(*weights, in, state->arch(), threads, Precision::kF32, choices[i]));
    }
    const ImageSize& out = plans[0].shape().out;
    size_t read = 0, written = 0;
    if (!ValuesOf(in.batch, in.height, in.width, weights->in_channels, &read) ||
        !ValuesOf(out.batch, out.height, out.width, weights->out_channels, &written) || !FillRandom(read, &x) ||
        !y.Reserve(written)) {
      return NoMemory();
    }
    return {};
  }
  bool Run(uint32_t i) { return plans[i].Run(x.data(), nullptr, y.data(), state->pool(), &workspace); }
};

struct ChainTrial {
  const ChainSpec* spec;
  uint32_t batch, threads;
  SharedState* state;
  Chain chains[kStepBudgetCount];
  AlignedArray<float> values;         // of all inputs, which are random, and all outputs
  AlignedArray<const float*> inputs;  // by external number
  AlignedArray<float*> outputs;
  Workspace workspace;

  static bool IsInput(const StageSpec& stage) { return stage.kind == StageKind::kImport; }
  static bool IsOutput(const StageSpec& stage) {
    return stage.kind == StageKind::kExport || stage.kind == StageKind::kMean;
  }

  // Room for a stage's external tensor; a mean needs less than its input.
  bool Floats(const StageSpec& stage, size_t* floats) const {
    const TensorSpec& tensor = spec->tensors[IsInput(stage) ? stage.output : stage.inputs[0]];
    return ValuesOf(batch, tensor.height, tensor.width, tensor.channels, floats);
  }

  Status Prepare() {
    for (uint32_t i = 0; i < kStepBudgetCount; ++i) {
      TFPRUNE_RETURN_IF_ERROR(chains[i].Prepare(*spec, batch, state->arch(), threads, kStepBudgets[i]));
    }
    size_t total = 0, floats = 0;
    for (uint32_t s = 0; s < spec->stage_count; ++s) {
      const StageSpec& stage = spec->stages[s];
      if (!IsInput(stage) && !IsOutput(stage)) continue;
      if (!Floats(stage, &floats) || __builtin_add_overflow(total, floats, &total)) return NoMemory();
    }
    if (!FillRandom(total, &values) || !inputs.Reserve(spec->stage_count) || !outputs.Reserve(spec->stage_count)) {
      return NoMemory();
    }
    float* at = values.data();
    for (uint32_t s = 0; s < spec->stage_count; ++s) {
      const StageSpec& stage = spec->stages[s];
      if (IsInput(stage)) inputs[stage.external] = at;
      if (IsOutput(stage)) outputs[stage.external] = at;
      if (!IsInput(stage) && !IsOutput(stage)) continue;
      Floats(stage, &floats);
      at += floats;
    }
    return {};
  }
  bool Run(uint32_t i) { return chains[i].Run(inputs.data(), outputs.data(), state->pool(), &workspace); }
};

template <typename Trial>
TuningTask TaskOf(Trial* trial, const TuningChoice* choices, uint32_t count) {
  return {choices, count, [](void* context, uint32_t i) { return static_cast<Trial*>(context)->Run(i); }, trial,
          [](void* context) { return static_cast<Trial*>(context)->Prepare(); }};
}

// Of everything that the time of a chain depends on beside its weights.
uint32_t ChainCrc(const ChainSpec& spec) {
  uint32_t crc = Crc32(spec.tensors, spec.tensor_count * sizeof(TensorSpec));
  for (uint32_t s = 0; s < spec.stage_count; ++s) {
    const StageSpec& stage = spec.stages[s];
    const uint32_t facts[] = {static_cast<uint32_t>(stage.kind),
                              stage.inputs[0],
                              stage.inputs[1],
                              stage.adds,
                              stage.output,
                              stage.kernel_h,
                              stage.kernel_w,
                              stage.stride_h,
                              stage.stride_w,
                              stage.dilation_h,
                              stage.dilation_w,
                              stage.shape.pad_top,
                              stage.shape.pad_left};
    crc = Crc32(facts, sizeof(facts), crc);
  }
  return crc;
}

}  // namespace

Status TuneConv(const PackedWeights& weights, uint32_t weights_crc, const ImageSize& in, uint32_t threads,
                SharedState* state, Conv2DPlan* plan, Tuned* tuned) {
  if (state->tuning() == nullptr) return {};
  ConvTrial* trial = Create<ConvTrial>();
  if (trial == nullptr) return {};
  trial->weights = &weights;
  trial->in = in;
  trial->threads = threads;
  trial->state = state;
  trial->count = plan->Alternatives(trial->choices);
  TuningChoice choices[kMaxConvChoices];
  for (uint32_t i = 0; i < trial->count; ++i) choices[i] = {trial->choices[i].tile, trial->choices[i].strip_rows};
  if (trial->count > 1) {
    TuningKey key;
    snprintf(key.text, sizeof(key.text), "%s %s %u conv %ux%ux%u %08x", TFPRUNE_VERSION, ArchName(state->arch()),
             threads, in.batch, in.height, in.width, weights_crc);
    state->tuning()->Choose(key, TaskOf(trial, choices, trial->count), tuned);
  } else {
    *tuned = {};
  }
  Destroy(trial);
  if (tuned->from == Tuned::From::kNothing) return {};
  return plan->Prepare(weights, in, state->arch(), threads, Precision::kF32,
                       {tuned->choice.first, tuned->choice.second});
}

void TuneChain(const ChainSpec& spec, uint32_t weights_crc, uint32_t batch, uint32_t threads, SharedState* state,
               Tuned* tuned, uint32_t* step_budget) {
  if (state->tuning() == nullptr || batch == 0) return;
  ChainTrial* trial = Create<ChainTrial>();
  if (trial == nullptr) return;
  trial->spec = &spec;
  trial->batch = batch;
  trial->threads = threads;
  trial->state = state;
  TuningChoice choices[kStepBudgetCount];
  for (uint32_t i = 0; i < kStepBudgetCount; ++i) choices[i] = {kStepBudgets[i], 0};
  TuningKey key;
  snprintf(key.text, sizeof(key.text), "%s %s %u chain %u %08x %08x", TFPRUNE_VERSION, ArchName(state->arch()), threads,
           batch, ChainCrc(spec), weights_crc);
  state->tuning()->Choose(key, TaskOf(trial, choices, kStepBudgetCount), tuned);
  Destroy(trial);
  if (tuned->from != Tuned::From::kNothing) *step_budget = tuned->choice.first;
}

void DescribeWeights(const WeightBytes& bytes, Text* text) {
  text->Add("\t%zu\t%zu\t%zu\n", bytes.in_place, bytes.repacked, bytes.offsets);
}

void DescribeTunedConv(const Tuned& tuned, Text* text) {
  if (tuned.from == Tuned::From::kNothing) return;
  text->Add("tile %u", tuned.choice.first);
  if (tuned.choice.second > 0) text->Add(" strip_rows %u", tuned.choice.second);
  text->Add(", %s", OriginOf(tuned));
}

void DescribeTunedChain(const Tuned& tuned, Text* text) {
  if (tuned.from == Tuned::From::kNothing) return;
  text->Add("step_budget %u, %s", tuned.choice.first, OriginOf(tuned));
}

}  // namespace tfprune
