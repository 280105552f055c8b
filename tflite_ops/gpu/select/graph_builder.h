// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_SELECT_GRAPH_BUILDER_H_
#define TFPRUNE_GPU_SELECT_GRAPH_BUILDER_H_

#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/gpu/graph/graph.h"
#include "tflite_ops/gpu/select/node.h"

namespace tfprune {

// Makes a graph of nodes, whose tensors have the numbers of the interpreter. Shapes follow from those of the inputs, so
// a network whose inputs were resized is built anew with the same nodes. After an error the graph is of no use.
class GraphBuilder {
 public:
  // Call once, with a new graph, which must outlive the builder, and the most of each that will be: `tensors` is how
  // many numbers the interpreter has.
  Status Reserve(const DeviceFacts& facts, Storage storage, uint32_t tensors, uint32_t nodes, uint32_t inputs,
                 uint32_t outputs, Graph* graph);

  Status AddInput(uint32_t tensor, const TensorShape& shape);
  // The next node. `inputs` are the tensors of its inputs, those of constants are not read; the shapes of the others
  // are set here. Tensors must be inputs or written by a node before.
  Status AddNode(Node* node, const uint32_t* inputs, uint32_t output);
  Status AddOutput(uint32_t tensor);

  // Of an input or of what a node wrote.
  const TensorShape& shape(uint32_t tensor) const { return tensors_[tensor].shape; }

 private:
  // A tensor of the interpreter and the one of the graph that holds its values, counted from 1.
  struct Tensor {
    TensorShape shape;
    uint32_t place;
  };

  Status Find(uint32_t tensor, Tensor** found);
  Status AddSelected(const Node& node, const uint32_t* inputs, GraphNode* made, Tensor* output, bool* taken);

  Graph* graph_ = nullptr;
  AlignedArray<Tensor> tensors_;
  uint32_t tensor_count_ = 0;
};

}  // namespace tfprune

#endif  // TFPRUNE_GPU_SELECT_GRAPH_BUILDER_H_
