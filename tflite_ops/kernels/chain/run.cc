// SPDX-License-Identifier: Apache-2.0
// A chain at work: every thread walks the steps, takes tasks of the step, and waits for the others behind it.
#include <string.h>

#include "tflite_ops/base/integers.h"
#include "tflite_ops/kernels/chain/stage.h"

namespace tfprune {
namespace {

constexpr uint32_t kTasksPerThread = 4;  // tasks of even cost: enough of them to share evenly

// Part `task` of `tasks` of [begin, end).
struct Range {
  uint32_t begin, end;
};
Range PartOf(uint32_t begin, uint32_t end, uint32_t task, uint32_t tasks) {
  const uint64_t count = end - begin;
  return {begin + static_cast<uint32_t>(count * task / tasks),
          begin + static_cast<uint32_t>(count * (task + 1) / tasks)};
}

}  // namespace

struct Chain::Call {
  Chain* chain;
  const float* const* inputs;
  float* const* outputs;
  float* scratch;  // one slot a thread
  uint32_t image;
};

// Floats of one thread's scratch.
size_t Chain::ScratchFloats(const Stage& stage) const {
  const size_t in = size_t{stage.in.height} * stage.in.width + kMaxLanes;
  const size_t out = size_t{stage.step_rows} * stage.out.width + kMaxLanes;
  switch (stage.spec.kind) {
    case StageKind::kConv:
      return stage.conv.TiledScratchFloats();
    case StageKind::kDepthwise:
      return 2 * size_t{stage.in.height} + DepthwiseScratchFloats(stage.window);  // with pointers to rows
    case StageKind::kAveragePool:
    case StageKind::kMaxPool:
      return in + out + PoolScratchFloats(stage.Pool());
    case StageKind::kMean:
      return in;
    default:
      return 0;
  }
}

uint32_t Chain::TasksOf(const Stage& stage, const Step& step, uint32_t team) const {
  const uint32_t most = team == 1 ? 1 : team * kTasksPerThread;
  switch (stage.spec.kind) {
    case StageKind::kConv:
      return stage.conv.TiledTasks(step.first, step.rows);
    case StageKind::kDepthwise:
    case StageKind::kAveragePool:
    case StageKind::kMaxPool:
    case StageKind::kMean:
      return Smaller(stage.out.channels, most);
    default:
      return Smaller(BlocksOf(stage, step), most);
  }
}

uint32_t Chain::BlocksOf(const Stage& stage, const Step& step) const {
  return DivideUp(step.rows * stage.out.width, BlockOf(stage.out));
}

bool Chain::Run(const float* const* inputs, float* const* outputs, ThreadPool* pool, Workspace* workspace) {
  if (!workspace->floats.Reserve(workspace_floats())) return false;
  float* arena = workspace->floats.data();
  for (uint32_t t = 0; t < tensor_count_; ++t) tensors_[t].image.data = arena + tensors_[t].offset + kDepthwiseReach;
  Call call = {this, inputs, outputs, arena + arena_floats_, 0};
  for (; call.image < batch_; ++call.image) {
    memset(next_task_.data(), 0, step_count_ * size_t{threads_} * sizeof(uint32_t));
    memset(done_tasks_.data(), 0, step_count_ * sizeof(uint32_t));
    pool->RunTeam(
        threads_,
        [](void* context, uint32_t member, uint32_t team) {
          Call* call = static_cast<Call*>(context);
          call->chain->RunMember(call, member, team);
        },
        &call);
  }
  if (clock_ != nullptr) __atomic_fetch_add(&runs_, 1, __ATOMIC_RELAXED);
  return true;
}

void Chain::RunMember(Call* call, uint32_t member, uint32_t team) {
  float* scratch = call->scratch + member * scratch_floats_;
  const bool timed = clock_ != nullptr && member == 0;
  uint64_t before = timed ? clock_() : 0;
  for (uint32_t s = 0; s < step_count_; ++s) {
    RunStep(call, s, member, team, scratch);
    if (!timed) continue;
    const uint64_t now = clock_();
    __atomic_fetch_add(&stage_time_[steps_[s].stage], now - before, __ATOMIC_RELAXED);
    before = now;
  }
}

void Chain::RunStep(Call* call, uint32_t index, uint32_t member, uint32_t team, float* scratch) {
  const Step& step = steps_[index];
  const Stage& stage = *stages_[step.stage];
  const uint32_t tasks = TasksOf(stage, step, team);
  uint32_t* next = next_task_.data() + size_t{index} * threads_;
  // A member's own tasks first, the same part of every step: what it wrote lies in its cache. Then what others left.
  for (uint32_t i = 0; i < team; ++i) {
    const uint32_t owner = (member + i) % team;
    const Range own = PartOf(0, tasks, owner, team);
    for (;;) {
      const uint32_t task = own.begin + __atomic_fetch_add(&next[owner], 1, __ATOMIC_RELAXED);
      if (task >= own.end) break;
      RunTask(*call, stage, step, task, tasks, scratch);
      __atomic_fetch_add(&done_tasks_[index], 1, __ATOMIC_RELEASE);
    }
  }
  // The step is over when its tasks are: a member that the system has put aside between tasks holds nobody up.
  WaitUntil(&done_tasks_[index], tasks);
}

void Chain::RunTask(const Call& call, const Stage& stage, const Step& step, uint32_t task, uint32_t tasks,
                    float* scratch) const {
  const StageSpec& spec = stage.spec;
  switch (spec.kind) {
    case StageKind::kImport:
    case StageKind::kExport:
      return MoveBlocks(call, stage, step, task, tasks);
    case StageKind::kConv:
      return stage.conv.RunTiled(tensors_[spec.inputs[0]].image, tensors_[spec.output].image, spec.bias, step.first,
                                 step.rows, task, scratch, spec.adds ? &tensors_[spec.inputs[1]].image : nullptr);
    case StageKind::kDepthwise:
      return RunDepthwise(stage, step, task, tasks, scratch);
    case StageKind::kAveragePool:
    case StageKind::kMaxPool:
      return RunPool(stage, step, task, tasks, scratch);
    case StageKind::kAdd:
      return AddBlocks(stage, step, task, tasks);
    case StageKind::kMean:
      return MeanOfPlanes(call, stage, task, tasks, scratch);
  }
}

// NHWC to tiles or back.
void Chain::MoveBlocks(const Call& call, const Stage& stage, const Step& step, uint32_t task, uint32_t tasks) const {
  const bool in = stage.spec.kind == StageKind::kImport;
  const TiledImage& image = tensors_[in ? stage.spec.output : stage.spec.inputs[0]].image;
  const uint32_t pixels = stage.out.height * stage.out.width, channels = stage.out.channels;
  const uint32_t end = (step.first + step.rows) * stage.out.width, block = BlockOf(stage.out);
  const Range blocks = PartOf(0, BlocksOf(stage, step), task, tasks);
  for (uint32_t b = blocks.begin; b < blocks.end; ++b) {
    const uint32_t first = step.first * stage.out.width + b * block, count = Smaller(end - first, block);
    const size_t place = (size_t{call.image} * pixels + first) * channels;
    if (in) {
      const float* x = call.inputs[stage.spec.external] + place;
      stage.kernels.to_planar(x, channels, count, channels, image.At(first), image.stride);
    } else {
      float* y = call.outputs[stage.spec.external] + place;
      stage.kernels.from_planar(image.At(first), image.stride, count, channels, y, channels);
    }
  }
}

void Chain::AddBlocks(const Stage& stage, const Step& step, uint32_t task, uint32_t tasks) const {
  const TiledImage &a = tensors_[stage.spec.inputs[0]].image, &b = tensors_[stage.spec.inputs[1]].image;
  const TiledImage& out = tensors_[stage.spec.output].image;
  const uint32_t block = BlockOf(stage.out);
  const bool together = a.stride == block && b.stride == block && out.stride == block;
  const uint32_t rows = together ? 1 : stage.out.channels;
  const size_t floats = size_t{block} * (together ? stage.out.channels : 1);
  const Range blocks = PartOf(0, BlocksOf(stage, step), task, tasks);
  for (uint32_t i = blocks.begin; i < blocks.end; ++i) {
    const uint32_t first = step.first * stage.out.width + i * block;
    const float *left = a.At(first), *right = b.At(first);
    float* y = out.At(first);
    for (uint32_t c = 0; c < rows; ++c) {
      stage.planes.add(left + c * a.stride, right + c * b.stride, floats, stage.spec.low, stage.spec.high,
                       y + c * out.stride);
    }
  }
}

// Rows are read and written where they lie: both images have whole rows in their tiles.
void Chain::RunDepthwise(const Stage& stage, const Step& step, uint32_t task, uint32_t tasks, float* scratch) const {
  const StageSpec& spec = stage.spec;
  const TiledImage &in = tensors_[spec.inputs[0]].image, &out = tensors_[spec.output].image;
  const size_t taps = spec.kernel_h * size_t{spec.kernel_w};
  const uint32_t multiplier = stage.out.channels / stage.in.channels;
  const float** rows = reinterpret_cast<const float**>(scratch);
  DepthwiseArgs args = {};
  args.rows = rows;
  args.in_stride = in.stride;
  args.in_first = stage.OldestRow(step.first);
  args.in_count = stage.NeededRows(step.first + step.rows) - args.in_first;
  args.out_stride = out.stride;
  args.out_first = step.first;
  args.out_count = step.rows;
  args.low = spec.low;
  args.high = spec.high;
  args.scratch = scratch + 2 * size_t{stage.in.height};
  const Range channels = PartOf(0, stage.out.channels, task, tasks);
  args.channels = multiplier == 1 ? channels.end - channels.begin : 1;
  for (uint32_t c = channels.begin; c < channels.end; c += args.channels) {
    for (uint32_t r = 0; r < args.in_count; ++r) {
      rows[r] = in.At((args.in_first + r) * stage.in.width) + c / multiplier * in.stride;
    }
    args.out = out.At(step.first * stage.out.width) + c * out.stride;
    args.weights = stage.weights.data() + c * taps;
    args.bias = spec.bias == nullptr ? nullptr : spec.bias + c;
    stage.depthwise.run(stage.window, args);
  }
}

void Chain::RunPool(const Stage& stage, const Step& step, uint32_t task, uint32_t tasks, float* scratch) const {
  const StageSpec& spec = stage.spec;
  const TiledImage &in = tensors_[spec.inputs[0]].image, &out = tensors_[spec.output].image;
  const uint32_t in_first = stage.OldestRow(step.first), in_end = stage.NeededRows(step.first + step.rows);
  const uint32_t begin = step.first * stage.out.width, end = (step.first + step.rows) * stage.out.width;
  float* y = scratch + size_t{stage.in.height} * stage.in.width + kMaxLanes;
  const PoolShape shape = stage.Pool();
  const PoolArgs args = {
      1, scratch,    0,         in_first, in_end - in_first, y,
      0, step.first, step.rows, spec.low, spec.high,         y + size_t{stage.step_rows} * stage.out.width + kMaxLanes};
  const auto run = spec.kind == StageKind::kMaxPool ? stage.planes.max_pool : stage.planes.average_pool;
  const Range channels = PartOf(0, stage.out.channels, task, tasks);
  for (uint32_t c = channels.begin; c < channels.end; ++c) {
    stage.kernels.gather(in, c, 1, in_first * stage.in.width, in_end * stage.in.width, scratch, 0);
    run(shape, args);
    stage.kernels.scatter(out, c, 1, begin, end, y, 0);
  }
}

// Means go straight to the NHWC output [batch, channels].
void Chain::MeanOfPlanes(const Call& call, const Stage& stage, uint32_t task, uint32_t tasks, float* scratch) const {
  const TiledImage& image = tensors_[stage.spec.inputs[0]].image;
  const uint32_t pixels = stage.in.height * stage.in.width;
  float* y = call.outputs[stage.spec.external] + size_t{call.image} * stage.in.channels;
  const Range channels = PartOf(0, stage.in.channels, task, tasks);
  for (uint32_t c = channels.begin; c < channels.end; ++c) {
    stage.kernels.gather(image, c, 1, 0, pixels, scratch, 0);
    stage.planes.mean(scratch, pixels, pixels, 1, stage.spec.low, stage.spec.high, y + c);
  }
}

}  // namespace tfprune
