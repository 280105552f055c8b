// SPDX-License-Identifier: Apache-2.0
// Predicted costs by which runs of nodes become chains. `benchmarks/fit_partition.py` measures them; why they stand
// beside the cost tables of the converter, docs/architecture.md says.
#ifndef TFPRUNE_DELEGATE_CHAIN_COSTS_H_
#define TFPRUNE_DELEGATE_CHAIN_COSTS_H_

namespace tfprune {

// The unit is bringing one value into planar form or back, with a layer of its own each side of it.
constexpr double kMove = 1.0;
// An input value of a convolution with a window, beside a planar layer: by whole networks, not by single layers.
constexpr double kFillPlanes = 0.5;
constexpr double kTapThere = 0.50, kTapHere = 0.33;  // depthwise and pooling, an output value and tap: XNNPACK, a chain
constexpr double kAddThere = 1.3, kAddHere = 0.8;    // an output value of a sum
constexpr double kPadThere = 5.0;                    // an output value of a PAD, which a chain folds

}  // namespace tfprune

#endif  // TFPRUNE_DELEGATE_CHAIN_COSTS_H_
