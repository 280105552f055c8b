// SPDX-License-Identifier: Apache-2.0
// Which nodes of a graph go to the GPU.
#ifndef TFPRUNE_DELEGATE_GPU_PARTITION_H_
#define TFPRUNE_DELEGATE_GPU_PARTITION_H_

#include "tensorflow/lite/core/c/common.h"
#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/gpu/opencl/device.h"
#include "tflite_ops/gpu/tasks/task.h"
#include "tflite_ops/ops/gpu_node.h"
#include "tflite_ops/ops/placement.h"

namespace tfprune {

// Finds the part with the most work of those that can be one kernel: nodes that have kernels on the GPU, with no node
// between them that has none. The other parts stay on the CPU: tensors would cross the bus twice more for each.
class GpuPartition {
 public:
  // Call once. `plan` is not kept.
  Status Find(TfLiteContext* context, const TfLiteIntArray& plan, const DeviceFacts& facts, Storage storage);

  // The nodes of the part, in execution order; none where nothing of the graph has a kernel.
  const TfLiteIntArray& nodes() const { return *reinterpret_cast<const TfLiteIntArray*>(list_.data()); }

  // Where each node of the graph runs, and why. Without success all are left to the CPU for that reason.
  void Note(const Status& built, Placement* placement) const;

 private:
  // kCandidate: it has a kernel, or needs none; those that are left in the end are in smaller parts.
  enum class Place : uint8_t { kCpu, kCandidate, kGpu };

  struct Judged {
    int node;
    Place place;
    bool is_known;    // before the graph runs, such as a widened constant: it goes where its readers go
    bool is_settled;  // it does not any more
    double work;      // about the multiply-adds
    Status reason;
  };

  Status Judge(const GraphConstants& constants, const DeviceFacts& facts, Storage storage, Judged* one);
  Status JudgeOutput(const GraphConstants& constants, const DeviceFacts& facts, Storage storage, int output,
                     Judged* one);
  Status ChooseLargest(Place from, bool* is_one);
  void Keep(Place from, const TfLiteIntArray* largest);
  bool LeaveKnown(const TfLiteIntArray& outputs);
  Status LeaveUnshaped(bool* found);
  bool IsUnshaped(int tensor) const;
  Status SettleKnown(Place place);
  void List(Place place);
  const TfLiteNode* NodeAt(uint32_t i) const;
  Judged* JudgedOf(int node);

  TfLiteContext* context_ = nullptr;
  AlignedArray<Judged> judged_;  // [count_], in execution order
  uint32_t count_ = 0;
  AlignedArray<int> list_;            // as a TfLiteIntArray
  AlignedArray<TensorShape> shapes_;  // by the tensor, of what nodes with a kernel write; rank 0 for others
};

}  // namespace tfprune

#endif  // TFPRUNE_DELEGATE_GPU_PARTITION_H_
