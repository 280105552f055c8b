// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_KERNELS_CHAIN_STAGE_H_
#define TFPRUNE_KERNELS_CHAIN_STAGE_H_

#include "tflite_ops/kernels/chain/chain.h"

namespace tfprune {

struct Chain::Stage {
  StageSpec spec;
  Conv2DPlan conv;
  KernelSet kernels;      // kImport, kExport
  DepthwiseShape window;  // where HasWindow()
  DepthwiseKernel depthwise;
  PlaneKernels planes;                    // kAdd, kMean, pooling
  AlignedArray<float> weights;            // kDepthwise: [channels][kernel_h * kernel_w]
  const float* reordered_from = nullptr;  // kDepthwise: where `weights` come from
  size_t reordered_count = 0;
  TensorSpec in, out;  // of the first input and of the output; kExport and kMean: out is in
  uint32_t step_rows;
  uint32_t done;  // output rows, while the schedule is made

  uint32_t InputCount() const {
    return spec.kind == StageKind::kImport ? 0 : spec.kind == StageKind::kAdd || spec.adds ? 2 : 1;
  }
  bool WritesTensor() const { return spec.kind != StageKind::kExport && spec.kind != StageKind::kMean; }
  bool HasWindow() const { return spec.kind == StageKind::kConv || spec.kind == StageKind::kDepthwise || IsPool(); }
  bool IsPool() const { return spec.kind == StageKind::kAveragePool || spec.kind == StageKind::kMaxPool; }
  PoolShape Pool() const {
    return {window.in_height, window.in_width, window.out_height, window.out_width, window.kernel_h,
            window.kernel_w,  window.stride_h, window.stride_w,   window.pad_top,   window.pad_left};
  }

  // Input rows that output rows below `end` read, and the first input row that output rows from `begin` on read.
  uint32_t NeededRows(uint32_t end) const;
  uint32_t OldestRow(uint32_t begin) const;
};

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_CHAIN_STAGE_H_
