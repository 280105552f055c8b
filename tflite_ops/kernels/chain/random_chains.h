// SPDX-License-Identifier: Apache-2.0
// The blocks that networks are made of, and random chains of them.
#ifndef TFPRUNE_KERNELS_CHAIN_RANDOM_CHAINS_H_
#define TFPRUNE_KERNELS_CHAIN_RANDOM_CHAINS_H_

#include "tflite_ops/kernels/chain/chain_models.h"

namespace tfprune {

// Expand, depthwise, project; with the addition where sizes allow.
uint32_t InvertedResidual(ChainModel* model, uint32_t x, uint32_t expansion, uint32_t stride, uint32_t kernel);

// Reduce, KxK convolution, expand; the other branch is a strided projection where sizes differ.
uint32_t Bottleneck(ChainModel* model, uint32_t x, uint32_t channels, uint32_t stride);

// One to three inputs, up to nine layers of every kind, one or more outputs.
void BuildRandomChain(ChainModel* model);

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_CHAIN_RANDOM_CHAINS_H_
