// SPDX-License-Identifier: Apache-2.0
// The cell of an LSTM: everything of one time step but its two matrix products. For each unit j < units, with the four
// gates z in TFLite's order (input, forget, cell, output), gate g of unit j at [g * units + j]:
//
//     z[g] = from_input[g * units + j] + from_state[g * units + j]
//     c    = clip(sigmoid(z[1]) * cell[j] + sigmoid(z[0]) * tanh(z[2]))
//     cell[j] = c,   hidden[j] = out[j] = sigmoid(z[3]) * tanh(c)
//
// with clip to [-cell_clip, cell_clip] where cell_clip > 0.
//
// Contract. Errors of sigmoid and tanh are below 4 units in the last place where the result is a normal float; below
// -87, sigmoid stays at exp(-87). A NaN gives NaN. Nothing outside the given ranges is read or written. `hidden` may be
// `out`; nothing else overlaps. No alignment is asked for. A unit's values do not depend on the units around it.
#ifndef TFPRUNE_KERNELS_LSTM_LSTM_H_
#define TFPRUNE_KERNELS_LSTM_LSTM_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/arch.h"

namespace tfprune {

struct LstmCellArgs {
  const float* from_input;
  const float* from_state;
  float* cell;
  float* hidden;
  float* out;
  size_t units;
  float cell_clip;
};

struct LstmKernels {
  const char* name;  // "lstm/avx512"
  void (*cell)(const LstmCellArgs& args);
  // The two functions by themselves, y[i] for i < count; y may be x.
  void (*sigmoid)(const float* x, size_t count, float* y);
  void (*tanh)(const float* x, size_t count, float* y);
};

// The kernels of `arch`, which must be supported; kReference gives the plain loops, the oracle of the others.
LstmKernels GetLstmKernels(Arch arch);
LstmKernels ReferenceLstmKernels();

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_LSTM_LSTM_H_
