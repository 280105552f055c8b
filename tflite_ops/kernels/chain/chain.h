// SPDX-License-Identifier: Apache-2.0
// A run of layers that stay planar from the first to the last: sparse and depthwise convolutions, additions, pooling.
//
// Between the layers images lie in tiles (planar/tiled_image.h), so nothing is transposed but the inputs and outputs of
// the chain. The chain runs depth first: as soon as a layer's input rows are there, a few of its output rows are
// computed, while their inputs are still in the cache. A tensor therefore keeps only the rows that later layers still
// need.
//
// The order of steps is fixed when the chain is prepared, for one image; images of a batch follow each other. A step is
// cut into tasks that share no output, and begins when all tasks of the one before are done: results do not depend on
// their number.
#ifndef TFPRUNE_KERNELS_CHAIN_CHAIN_H_
#define TFPRUNE_KERNELS_CHAIN_CHAIN_H_

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/arch.h"
#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/base/thread_pool.h"
#include "tflite_ops/kernels/conv2d/conv2d.h"
#include "tflite_ops/kernels/depthwise/depthwise.h"
#include "tflite_ops/kernels/planes/planes.h"

namespace tfprune {

enum class StageKind : uint8_t { kImport, kConv, kDepthwise, kAdd, kAveragePool, kMaxPool, kMean, kExport };

// One layer. Tensors are numbers of the chain's tensors, `external` a number of its inputs or outputs.
struct StageSpec {
  StageKind kind = StageKind::kImport;
  uint32_t inputs[2] = {0, 0};  // kAdd and kConv with `adds` read two tensors, kImport none
  bool adds = false;      // kConv, pointwise and without activation: adds the second input, then clamps to low and high
  uint32_t output = 0;    // kMean and kExport write none
  uint32_t external = 0;  // kImport, kMean, kExport
  uint32_t node = 0;      // the caller's number for profiles
  uint32_t adds_node = 0;  // of the addition, where the stage adds
  // kConv, kDepthwise, pooling: sizes and padding; kernel, stride and dilation where there are no packed weights.
  ConvShape shape = {};
  uint32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  const PackedWeights* packed = nullptr;   // kConv
  const float* weights = nullptr;          // kDepthwise: [kernel_h, kernel_w, channels]
  const float* bias = nullptr;             // kConv, kDepthwise; nullptr for zeros
  float low = -INFINITY, high = INFINITY;  // all but kConv without `adds`: clamp; infinities where there is none
};

struct TensorSpec {
  uint32_t height = 0, width = 0, channels = 0;
};

struct ChainSpec {
  const TensorSpec* tensors = nullptr;
  uint32_t tensor_count = 0;
  const StageSpec* stages = nullptr;  // a stage comes behind those it reads from
  uint32_t stage_count = 0;
};

// Output rows [first, first + rows) of one stage.
struct Step {
  uint32_t stage, first, rows;
};

// Floats that one step reads and writes, for each thread: some of them fit into a core's second-level cache.
constexpr uint32_t kStepBudget = 48 * 1024;

class Chain {
 public:
  Chain() = default;
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;
  ~Chain();

  // Everything `spec` points to but its arrays must outlive the chain. `arch` is supported and not kReference.
  // Results are the same bytes for every `step_budget`, which is at most 2^20.
  Status Prepare(const ChainSpec& spec, uint32_t batch, Arch arch, uint32_t threads,
                 uint32_t step_budget = kStepBudget);

  // Computes NHWC `outputs` from NHWC `inputs`. False where there is no memory for scratch. A chain runs for one caller
  // at a time.
  bool Run(const float* const* inputs, float* const* outputs, ThreadPool* pool, Workspace* workspace);

  // From now on counts the time of every stage with a clock in nanoseconds.
  Status StartProfile(uint64_t (*clock)());
  uint64_t StageNanoseconds(uint32_t stage) const {
    return clock_ == nullptr ? 0 : __atomic_load_n(&stage_time_[stage], __ATOMIC_RELAXED);
  }
  uint64_t runs() const { return __atomic_load_n(&runs_, __ATOMIC_RELAXED); }

  const Step* steps() const { return steps_.data(); }
  uint32_t step_count() const { return step_count_; }
  size_t arena_floats() const { return arena_floats_; }
  // What a run takes from its workspace.
  size_t workspace_floats() const { return arena_floats_ + scratch_floats_ * threads_; }
  // Where a tensor lies: `data` is null, and its first value at `offset` of the workspace.
  TiledImage TensorImage(uint32_t tensor, size_t* offset) const;
  const char* StageKernel(uint32_t stage) const;
  WeightBytes StageWeightBytes(uint32_t stage) const;

 private:
  struct Stage;
  struct Tensor {
    TensorSpec spec;
    TiledImage image;
    size_t offset;                   // in the arena, floats
    uint32_t first_step, last_step;  // from its first write to its last read or write
    uint32_t done;                   // rows, while the schedule is made
  };
  struct Call;

  void KeepStages(uint32_t count);
  Status PrepareTensors(const ChainSpec& spec, Arch arch);
  Status PrepareStages(const ChainSpec& spec);
  Status PrepareStage(Stage* stage, Arch arch) const;
  static Status ReorderDepthwise(Stage* stage);
  uint32_t BlockOf(const TensorSpec& tensor) const;
  void ChooseStepRows(Stage* stage) const;
  void ChooseTiles();
  bool ReadByWindow(uint32_t tensor) const;
  Status MakeSchedule();
  bool Ready(const Stage& stage) const;
  void Advance(uint32_t index);
  void KeepTiles(uint32_t index, uint32_t written);
  Status PlaceTensors();

  size_t ScratchFloats(const Stage& stage) const;
  uint32_t TasksOf(const Stage& stage, const Step& step, uint32_t team) const;
  uint32_t BlocksOf(const Stage& stage, const Step& step) const;
  void RunMember(Call* call, uint32_t member, uint32_t team);
  void RunStep(Call* call, uint32_t index, uint32_t member, uint32_t team, float* scratch);
  void RunTask(const Call& call, const Stage& stage, const Step& step, uint32_t task, uint32_t tasks,
               float* scratch) const;
  void MoveBlocks(const Call& call, const Stage& stage, const Step& step, uint32_t task, uint32_t tasks) const;
  void AddBlocks(const Stage& stage, const Step& step, uint32_t task, uint32_t tasks) const;
  void RunDepthwise(const Stage& stage, const Step& step, uint32_t task, uint32_t tasks, float* scratch) const;
  void RunPool(const Stage& stage, const Step& step, uint32_t task, uint32_t tasks, float* scratch) const;
  void MeanOfPlanes(const Call& call, const Stage& stage, uint32_t task, uint32_t tasks, float* scratch) const;

  AlignedArray<Stage*> stages_;
  AlignedArray<Tensor> tensors_;
  uint32_t stage_count_ = 0, tensor_count_ = 0;
  uint32_t batch_ = 0, threads_ = 1, step_budget_ = kStepBudget;
  uint32_t block_ = 0;  // pixels that a pointwise layer computes at once
  AlignedArray<Step> steps_;
  uint32_t step_count_ = 0;
  AlignedArray<uint32_t> next_task_, done_tasks_;  // atomic, one a step
  size_t arena_floats_ = 0, scratch_floats_ = 0;
  uint64_t (*clock_)() = nullptr;
  AlignedArray<uint64_t> stage_time_;
  uint64_t runs_ = 0;  // profiled
};

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_CHAIN_CHAIN_H_
