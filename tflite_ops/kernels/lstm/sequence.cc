// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/lstm/sequence.h"

namespace tfprune {
namespace {

constexpr uint32_t kGates = 4;

Status CheckWeights(const PackedWeights& w, const char* name) {
  if (w.op != Op::kFullyConnected || w.has_integers()) {
    return Error("the %s weights must be fully connected and float", name);
  }
  if (w.activation != Activation::kNone) return Error("the %s weights must have no activation", name);
  return {};
}

}  // namespace

Status LstmPlan::Prepare(const PackedWeights& input, const PackedWeights& recurrent, const LstmShape& shape,
                         float cell_clip, Arch arch, uint32_t threads) {
  TFPRUNE_RETURN_IF_ERROR(CheckWeights(input, "input"));
  TFPRUNE_RETURN_IF_ERROR(CheckWeights(recurrent, "recurrent"));
  if (recurrent.out_channels % kGates != 0 || recurrent.out_channels != input.out_channels ||
      recurrent.in_channels != recurrent.out_channels / kGates) {
    return Error("4 gates of recurrent weights [%u, %u] and input weights of %u rows do not fit each other",
                 recurrent.out_channels, recurrent.in_channels, input.out_channels);
  }
  size_t pixels = 0, floats = 0;
  if (!CheckedMultiply(shape.batch, shape.steps, &pixels) || pixels > INT32_MAX ||
      !CheckedMultiply(pixels + shape.batch, recurrent.out_channels, &floats)) {
    return Error("%u sequences of %u steps are too many", shape.batch, shape.steps);
  }
  shape_ = shape;
  units_ = recurrent.in_channels;
  cell_clip_ = cell_clip;
  gate_floats_ = pixels * recurrent.out_channels;
  kernels_ = GetLstmKernels(arch);
  TFPRUNE_RETURN_IF_ERROR(input_.Prepare(input, {static_cast<uint32_t>(pixels), 1, 1}, arch, threads));
  return recurrent_.Prepare(recurrent, {shape.batch, 1, 1}, arch, threads);
}

bool LstmPlan::Run(const LstmTensors& tensors, ThreadPool* pool, Workspace* gates, Workspace* products) const {
  const size_t step_gates = size_t{kGates} * units_, batch = shape_.batch, steps = shape_.steps;
  if (batch == 0 || steps == 0) return true;
  if (!gates->floats.Reserve(gate_floats_ + batch * step_gates)) return false;
  float* const from_input = gates->floats.data();
  float* const from_state = from_input + gate_floats_;
  if (!input_.Run(tensors.x, tensors.bias, from_input, pool, products)) return false;
  LstmCellArgs args = {};
  args.units = units_;
  args.cell_clip = cell_clip_;
  for (size_t step = 0; step < steps; ++step) {
    if (!recurrent_.Run(tensors.hidden, nullptr, from_state, pool, products)) return false;
    for (size_t b = 0; b < batch; ++b) {
      const size_t place = shape_.time_major ? step * batch + b : b * steps + step;
      args.from_input = from_input + place * step_gates;
      args.from_state = from_state + b * step_gates;
      args.cell = tensors.cell + b * units_;
      args.hidden = tensors.hidden + b * units_;
      args.out = tensors.y + place * units_;
      kernels_.cell(args);
    }
  }
  return true;
}

}  // namespace tfprune
