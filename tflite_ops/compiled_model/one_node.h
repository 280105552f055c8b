// SPDX-License-Identifier: Apache-2.0
// A convolution or fully connected layer of this library without an interpreter: it sees a context whose only node it
// is.
#ifndef TFPRUNE_COMPILED_MODEL_ONE_NODE_H_
#define TFPRUNE_COMPILED_MODEL_ONE_NODE_H_

#include <stddef.h>
#include <stdint.h>

#include "tensorflow/lite/core/c/common.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/ops/shared_state.h"

namespace tfprune {

constexpr int kMostNodeInputs = 4, kMostNodeRank = 8;

// A tensor as another runtime hands it over.
struct TensorView {
  TfLiteType type;
  int rank;
  int32_t dims[kMostNodeRank];
  void* data;
  size_t bytes;
};

class OneNode {
 public:
  OneNode() = default;
  OneNode(const OneNode&) = delete;
  OneNode& operator=(const OneNode&) = delete;
  ~OneNode();

  // Says which op it is; call once. `name` and `state` must live as long as this.
  void Init(const char* name, SharedState* state);

  // For inputs of these shapes; all but the first are constants. The output's type is the first input's. Call once.
  Status Prepare(const TensorView* inputs, int count, int threads);

  // With inputs of the shapes of Prepare.
  Status Run(const TensorView* inputs, int count, const TensorView& output);

 private:
  struct Numbers {  // a TfLiteIntArray with room
    int size;
    int data[kMostNodeRank + 1];
  };
  static TfLiteIntArray* List(Numbers* numbers) { return reinterpret_cast<TfLiteIntArray*>(numbers); }

  static OneNode* Self(TfLiteContext* context) { return static_cast<OneNode*>(context->impl_); }
  static TfLiteStatus FindNode(TfLiteContext* context, int index, TfLiteNode** node, TfLiteRegistration** registration);
  static TfLiteStatus Resize(TfLiteContext* context, TfLiteTensor* tensor, TfLiteIntArray* dims);
  static void Report(TfLiteContext* context, const char* format, ...);

  void SetTensor(int index, const TensorView& view, TfLiteAllocationType allocation);
  Status SetQuantization(const TensorView& packed, int output);
  Status Outcome(TfLiteStatus status) const;

  TfLiteContext context_ = {};
  TfLiteDelegate delegate_ = {};
  TfLiteNode replaced_node_ = {}, kernel_node_ = {};
  TfLiteRegistration replaced_ = {}, kernel_ = {};
  Numbers inputs_ = {}, outputs_ = {}, dims_[kMostNodeInputs + 1] = {};
  TfLiteTensor tensors_[kMostNodeInputs + 1] = {};
  Status error_;
};

}  // namespace tfprune

#endif  // TFPRUNE_COMPILED_MODEL_ONE_NODE_H_
