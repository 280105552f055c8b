// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/select/product.h"

#include "tflite_ops/gpu/select/operands.h"

namespace tfprune {

Status PlaceProduct(const Node& node, uint32_t features, uint32_t out_channels, bool keep_dims, ConvSpec* spec,
                    Selection* selection) {
  TFPRUNE_RETURN_IF_ERROR(ReadImage(node, 0, &spec->in));
  const TensorShape& x = node.inputs[0].shape;
  const ImageShape& in = spec->in;
  if (keep_dims && in.channels == features) {
    spec->out = {in.batch, in.height, in.width, out_channels};
    selection->output = x;
    selection->output.sizes[x.rank - 1] = out_channels;
  } else if (!keep_dims && in.values() / in.batch == features) {
    spec->window.kernel_h = in.height;
    spec->window.kernel_w = in.width;
    spec->out = {in.batch, 1, 1, out_channels};
    selection->output.rank = 2;
    selection->output.sizes[0] = in.batch;
    selection->output.sizes[1] = out_channels;
  } else {
    return Error("gpu %s: %u features of an input of %s%s are neither its channels nor whole images",
                 NodeOpName(node.op), features, ShapeText(x).text, keep_dims ? ", whose dimensions are kept," : "");
  }
  selection->image = spec->out;
  selection->input_count = 1;
  return {};
}

}  // namespace tfprune
