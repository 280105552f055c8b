// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_SELECT_PRODUCT_H_
#define TFPRUNE_GPU_SELECT_PRODUCT_H_

#include "tflite_ops/gpu/select/select.h"
#include "tflite_ops/gpu/tasks/conv.h"

namespace tfprune {

// A fully-connected layer from `features` to `out_channels` over input 0 as a convolution: sets input, output and
// window of `spec` and everything of `selection` but the task. Features may be
// - the channels of each pixel, where the output keeps the input's dimensions,
// - all values of an image: the kernel is the whole image, and its weights [O, H, W, C] lie as [O, features] do.
// Others would have to be moved first and are refused.
Status PlaceProduct(const Node& node, uint32_t features, uint32_t out_channels, bool keep_dims, ConvSpec* spec,
                    Selection* selection);

}  // namespace tfprune

#endif  // TFPRUNE_GPU_SELECT_PRODUCT_H_
