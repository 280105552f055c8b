// SPDX-License-Identifier: Apache-2.0
// Shapes of outputs from shapes of inputs alone: what LiteRT's CompiledModel asks before any data are there. The third
// input of the ops, the geometry, carries in its shape what is needed: docs/formats.md.
#ifndef TFPRUNE_COMPILED_MODEL_OUTPUT_LAYOUT_H_
#define TFPRUNE_COMPILED_MODEL_OUTPUT_LAYOUT_H_

#include "tflite_ops/base/status.h"
#include "tflite_ops/compiled_model/litert_api.h"

namespace tfprune {

Status ConvOutputLayout(const LiteRtLayout* inputs, LiteRtLayout* output);
Status FullyConnectedOutputLayout(const LiteRtLayout* inputs, LiteRtLayout* output);

}  // namespace tfprune

#endif  // TFPRUNE_COMPILED_MODEL_OUTPUT_LAYOUT_H_
