// SPDX-License-Identifier: Apache-2.0
// An LSTM over a sequence with sparse weights:
//
//     z[t]    = input_weights x[t] + recurrent_weights h[t - 1] + bias         (4 * units values)
//     h[t], c[t] = the cell of lstm.h, from z[t] and c[t - 1]
//
// The product with the input runs once, over all time steps as pixels of one fully-connected layer; that with the state
// runs a step at a time over the batch.
#ifndef TFPRUNE_KERNELS_LSTM_SEQUENCE_H_
#define TFPRUNE_KERNELS_LSTM_SEQUENCE_H_

#include "tflite_ops/kernels/conv2d/conv2d.h"
#include "tflite_ops/kernels/lstm/lstm.h"

namespace tfprune {

struct LstmShape {
  uint32_t batch, steps;
  bool time_major;  // x and y are [steps, batch, ...], else [batch, steps, ...]
};

// What one run reads and writes, all contiguous. `hidden` and `cell` are [batch, units] and hold the state before and
// after the run; `bias` may be null.
struct LstmTensors {
  const float* x;
  const float* bias;
  float* hidden;
  float* cell;
  float* y;
};

class LstmPlan {
 public:
  // Both weights are fully connected, without activation, and have 4 * units rows: `input` as many columns as x has
  // features, `recurrent` has `units`. They must outlive the plan.
  Status Prepare(const PackedWeights& input, const PackedWeights& recurrent, const LstmShape& shape, float cell_clip,
                 Arch arch, uint32_t threads);

  // False where there is no memory for scratch. Neither workspace is used by anything else meanwhile.
  bool Run(const LstmTensors& tensors, ThreadPool* pool, Workspace* gates, Workspace* products) const;

  uint32_t units() const { return units_; }
  const Conv2DPlan& input_plan() const { return input_; }
  const Conv2DPlan& recurrent_plan() const { return recurrent_; }

 private:
  LstmShape shape_ = {};
  uint32_t units_ = 0;
  float cell_clip_ = 0;
  size_t gate_floats_ = 0;  // gates of all steps, behind which lie those of one step's state
  LstmKernels kernels_ = {};
  Conv2DPlan input_, recurrent_;
};

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_LSTM_SEQUENCE_H_
