// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/compiled_model/output_layout.h"

#include "tflite_ops/base/memory.h"

namespace tfprune {
namespace {

constexpr int kX = 0, kGeometry = 2;

Status CheckDims(const char* name, const LiteRtLayout& layout, uint32_t rank, int32_t least) {
  if (layout.rank != rank) return Error("the %s must have %u dimensions, got %u", name, rank, layout.rank);
  for (uint32_t i = 0; i < rank; ++i) {
    if (layout.dimensions[i] < least) return Error("dimension %u of the %s is %d", i, name, layout.dimensions[i]);
  }
  return {};
}

void SetDims(LiteRtLayout* layout, const int32_t* dims, uint32_t rank) {
  *layout = {};
  layout->rank = rank;
  for (uint32_t i = 0; i < rank; ++i) layout->dimensions[i] = dims[i];
}

}  // namespace

// geometry: [R, stride_h, stride_w, extent_h, extent_w], with extents of 1 where the padding is SAME.
Status ConvOutputLayout(const LiteRtLayout* inputs, LiteRtLayout* output) {
  TFPRUNE_RETURN_IF_ERROR(CheckDims("input", inputs[kX], 4, 0));
  TFPRUNE_RETURN_IF_ERROR(CheckDims("geometry", inputs[kGeometry], 5, 1));
  const int32_t* x = inputs[kX].dimensions;
  const int32_t* geometry = inputs[kGeometry].dimensions;
  int32_t y[4] = {x[0], 0, 0, geometry[0]};
  for (int axis = 1; axis <= 2; ++axis) {
    const int32_t stride = geometry[axis], extent = geometry[axis + 2];
    y[axis] = x[axis] < extent ? 0 : (x[axis] - extent) / stride + 1;
  }
  SetDims(output, y, 4);
  return {};
}

// geometry: [R, k, 1 + keep_num_dims]; the last k dimensions of the input are the features.
Status FullyConnectedOutputLayout(const LiteRtLayout* inputs, LiteRtLayout* output) {
  const LiteRtLayout& x = inputs[kX];
  TFPRUNE_RETURN_IF_ERROR(CheckDims("input", x, x.rank, 0));
  TFPRUNE_RETURN_IF_ERROR(CheckDims("geometry", inputs[kGeometry], 3, 1));
  const int32_t channels = inputs[kGeometry].dimensions[0];
  const uint32_t features = static_cast<uint32_t>(inputs[kGeometry].dimensions[1]);
  const bool keep = inputs[kGeometry].dimensions[2] == 2;
  if (features > x.rank || (keep && features != 1)) {
    return Error("%u feature dimensions do not fit an input of %u dimensions", features, x.rank);
  }
  int32_t y[kLiteRtMostRank] = {};
  if (keep) {
    for (uint32_t i = 0; i + 1 < x.rank; ++i) y[i] = x.dimensions[i];
    y[x.rank - 1] = channels;
    SetDims(output, y, x.rank);
    return {};
  }
  size_t batch = 1;
  for (uint32_t i = 0; i < x.rank - features; ++i) {
    if (!CheckedMultiply(batch, static_cast<size_t>(x.dimensions[i]), &batch) || batch > INT32_MAX) {
      return Error("the batch of the input is too large");
    }
  }
  y[0] = static_cast<int32_t>(batch);
  y[1] = channels;
  SetDims(output, y, 2);
  return {};
}

}  // namespace tfprune
