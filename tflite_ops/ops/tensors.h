// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_OPS_TENSORS_H_
#define TFPRUNE_OPS_TENSORS_H_

#include "tensorflow/lite/core/c/common.h"
#include "tflite_ops/base/status.h"

namespace tfprune {

// TfLiteIntArrayCreate is not linked; the interpreter frees what this returns with free(). Null without memory.
TfLiteIntArray* NewDims(int rank);

// Gives the tensor `output` of an op that `node` stands for the shape `dims`, which it takes. Where nothing reads the
// tensor it is no output of the node, and the interpreter plans no memory for it: it gets its own here.
Status ResizeOutput(TfLiteContext* context, const TfLiteNode& node, int output, TfLiteIntArray* dims);

// Whether a tensor is a constant of the file, of this type and with a shape.
bool IsConstant(const TfLiteTensor& tensor, TfLiteType type);

// Fails where a tensor has another type, no shape, or should be a constant of the file and is not.
Status CheckTensor(const char* name, const TfLiteTensor& tensor, TfLiteType type, bool constant);

}  // namespace tfprune

#endif  // TFPRUNE_OPS_TENSORS_H_
