// SPDX-License-Identifier: Apache-2.0
// The parameters of TFLite's builtin ops that a chain runs. The published C headers leave them out, but their layout is
// fixed: delegates outside LiteRT depend on it. tests/runtime/test_chains.py checks it against the running LiteRT.
#ifndef TFPRUNE_OPS_BUILTIN_DATA_H_
#define TFPRUNE_OPS_BUILTIN_DATA_H_

namespace tfprune {

// All enumerations of TFLite's C interface have the size of an int.
constexpr int kPaddingSame = 1, kPaddingValid = 2;
constexpr int kActivationNone = 0, kActivationRelu = 1, kActivationReluN1To1 = 2, kActivationRelu6 = 3;

struct DepthwiseConvData {
  int padding, stride_w, stride_h, depth_multiplier, activation, dilation_w, dilation_h;
};

struct PoolData {
  int padding, stride_w, stride_h, filter_w, filter_h, activation;
};

struct AddData {
  int activation;
};

struct ReducerData {
  bool keep_dims;
};

}  // namespace tfprune

#endif  // TFPRUNE_OPS_BUILTIN_DATA_H_
