// SPDX-License-Identifier: Apache-2.0
// What is tuned: tile and strips of a convolution on its own, the step budget of a chain. Layers run with their own
// weights on random values.
#ifndef TFPRUNE_OPS_TUNE_LAYERS_H_
#define TFPRUNE_OPS_TUNE_LAYERS_H_

#include "tflite_ops/kernels/chain/chain.h"
#include "tflite_ops/ops/shared_state.h"

namespace tfprune {

// Prepares `plan`, which is prepared by its own rules, with what is faster. Does nothing without tuning.
Status TuneConv(const PackedWeights& weights, uint32_t weights_crc, const ImageSize& in, uint32_t threads,
                SharedState* state, Conv2DPlan* plan, Tuned* tuned);

// Chooses the step budget of a chain. Does nothing without tuning.
void TuneChain(const ChainSpec& spec, uint32_t weights_crc, uint32_t batch, uint32_t threads, SharedState* state,
               Tuned* tuned, uint32_t* step_budget);

// Append what was chosen and whence, or nothing.
void DescribeTunedConv(const Tuned& tuned, Text* text);
void DescribeTunedChain(const Tuned& tuned, Text* text);

// Ends the line of a layer.
void DescribeWeights(const WeightBytes& bytes, Text* text);

}  // namespace tfprune

#endif  // TFPRUNE_OPS_TUNE_LAYERS_H_
