// SPDX-License-Identifier: Apache-2.0
// A chain at work: every thread walks the steps, takes tasks of the step, and waits for the others behind it.
#include <string.h>

#include "tflite_ops/kernels/chain/stage.h"

namespace tfprune {
namespace {

constexpr uint32_t kTasksPerThread = 4;  // tasks of even cost: enough of them to share evenly

uint32_t DivideUp(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

uint32_t Smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

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
  Barrier barrier;
};

size_t Chain::WindowScratch(const Stage& stage) {
  return stage.IsPool() ? PoolScratchFloats(stage.Pool()) : DepthwiseScratchFloats(stage.window);
}

// Floats of one thread's scratch.
size_t Chain::ScratchFloats(const Stage& stage) const {
  if (stage.spec.kind == StageKind::kConv) return stage.conv.TiledScratchFloats();
  if (stage.spec.kind == StageKind::kMean) return size_t{stage.in.height} * stage.in.width + 2 * tile_;
  if (!stage.HasWindow()) return 0;
  const size_t out = size_t{stage.step_rows} * stage.out.width + 2 * tile_;
  size_t rows =
      size_t{stage.step_rows} * stage.window.stride_h + size_t{stage.window.kernel_h} * stage.window.dilation_h;
  if (rows > stage.in.height) rows = stage.in.height;
  return out + rows * stage.in.width + 2 * (tile_ + kDepthwiseReach) + WindowScratch(stage);
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
      return Smaller(TilesOf(stage.out, step).end - TilesOf(stage.out, step).begin, most);
  }
}

Chain::Tiles Chain::TilesOf(const TensorSpec& tensor, const Step& step) const {
  return {step.first * tensor.width / tile_, DivideUp((step.first + step.rows) * tensor.width, tile_)};
}

bool Chain::Run(const float* const* inputs, float* const* outputs, ThreadPool* pool, Workspace* workspace) {
  if (!workspace->floats.Reserve(arena_floats_ + scratch_floats_ * threads_)) return false;
  float* arena = workspace->floats.data();
  for (uint32_t t = 0; t < tensor_count_; ++t) tensors_[t].image.data = arena + tensors_[t].offset;
  Call call = {this, inputs, outputs, arena + arena_floats_, 0, {}};
  for (; call.image < batch_; ++call.image) {
    memset(next_task_.data(), 0, step_count_ * sizeof(uint32_t));
    pool->RunTeam(
        threads_,
        [](void* context, uint32_t member, uint32_t team) {
          Call* call = static_cast<Call*>(context);
          call->chain->RunMember(call, member, team);
        },
        &call);
  }
  return true;
}

void Chain::RunMember(Call* call, uint32_t member, uint32_t team) {
  float* scratch = call->scratch + member * scratch_floats_;
  for (uint32_t s = 0; s < step_count_; ++s) {
    const Step& step = steps_[s];
    const Stage& stage = *stages_[step.stage];
    const uint32_t tasks = TasksOf(stage, step, team);
    if (team == 1) {
      for (uint32_t task = 0; task < tasks; ++task) RunTask(*call, stage, step, task, tasks, scratch);
      continue;
    }
    for (;;) {
      const uint32_t task = __atomic_fetch_add(&next_task_[s], 1, __ATOMIC_RELAXED);
      if (task >= tasks) break;
      RunTask(*call, stage, step, task, tasks, scratch);
    }
    call->barrier.Wait(team);
  }
}

void Chain::RunTask(const Call& call, const Stage& stage, const Step& step, uint32_t task, uint32_t tasks,
                    float* scratch) const {
  const StageSpec& spec = stage.spec;
  switch (spec.kind) {
    case StageKind::kImport:
    case StageKind::kExport:
      return MoveTiles(call, stage, step, task, tasks);
    case StageKind::kConv:
      return stage.conv.RunTiled(tensors_[spec.inputs[0]].image, tensors_[spec.output].image, spec.bias, step.first,
                                 step.rows, task, scratch);
    case StageKind::kDepthwise:
    case StageKind::kAveragePool:
    case StageKind::kMaxPool:
      return RunWindow(stage, step, task, tasks, scratch);
    case StageKind::kAdd:
      return AddTiles(stage, step, task, tasks);
    case StageKind::kMean:
      return MeanOfPlanes(call, stage, task, tasks, scratch);
  }
}

// NHWC to tiles or back.
void Chain::MoveTiles(const Call& call, const Stage& stage, const Step& step, uint32_t task, uint32_t tasks) const {
  const bool in = stage.spec.kind == StageKind::kImport;
  const TiledImage& image = tensors_[in ? stage.spec.output : stage.spec.inputs[0]].image;
  const uint32_t pixels = stage.out.height * stage.out.width, channels = stage.out.channels;
  const Tiles all = TilesOf(stage.out, step);
  const Range tiles = PartOf(all.begin, all.end, task, tasks);
  for (uint32_t t = tiles.begin; t < tiles.end; ++t) {
    const uint32_t first = t * tile_, count = Smaller(pixels - first, tile_);
    const size_t place = (size_t{call.image} * pixels + first) * channels;
    if (in) {
      const float* x = call.inputs[stage.spec.external] + place;
      stage.kernels.to_planar(x, channels, count, channels, image.Tile(t), tile_);
    } else {
      float* y = call.outputs[stage.spec.external] + place;
      stage.kernels.from_planar(image.Tile(t), tile_, count, channels, y, channels);
    }
  }
}

void Chain::AddTiles(const Stage& stage, const Step& step, uint32_t task, uint32_t tasks) const {
  const TiledImage &a = tensors_[stage.spec.inputs[0]].image, &b = tensors_[stage.spec.inputs[1]].image;
  const TiledImage& out = tensors_[stage.spec.output].image;
  const size_t floats = size_t{stage.out.channels} * tile_;
  const Tiles all = TilesOf(stage.out, step);
  const Range tiles = PartOf(all.begin, all.end, task, tasks);
  for (uint32_t t = tiles.begin; t < tiles.end; ++t) {
    stage.planes.add(a.Tile(t), b.Tile(t), floats, stage.spec.low, stage.spec.high, out.Tile(t));
  }
}

// Depthwise convolution or pooling: each channel's rows are laid side by side, computed, and put back into tiles.
void Chain::RunWindow(const Stage& stage, const Step& step, uint32_t task, uint32_t tasks, float* scratch) const {
  const TiledImage &in = tensors_[stage.spec.inputs[0]].image, &out = tensors_[stage.spec.output].image;
  const uint32_t multiplier = stage.out.channels / stage.in.channels;
  const uint32_t in_first = stage.OldestRow(step.first), in_end = stage.NeededRows(step.first + step.rows);
  const uint32_t in_width = stage.in.width, out_width = stage.out.width;
  float* y = scratch;
  float* x = y + size_t{step.rows} * out_width + 3 * tile_ + kDepthwiseReach;
  const PlaneRows rows = {x,
                          y,
                          in_first,
                          in_end - in_first,
                          step.first,
                          step.rows,
                          x + size_t{in_end - in_first} * in_width + tile_ + kDepthwiseReach};
  const Range channels = PartOf(0, stage.out.channels, task, tasks);
  for (uint32_t c = channels.begin; c < channels.end; ++c) {
    GatherPixels(in, c / multiplier, in_first * in_width, in_end * in_width, x);
    RunPlane(stage, rows, c);
    ScatterPixels(out, c, step.first * out_width, (step.first + step.rows) * out_width, y);
  }
}

void Chain::RunPlane(const Stage& stage, const PlaneRows& rows, uint32_t channel) {
  const StageSpec& spec = stage.spec;
  if (stage.IsPool()) {
    const PoolArgs args = {
        1,        rows.in,   0,           rows.in_first, rows.in_count, rows.out, 0, rows.out_first, rows.out_count,
        spec.low, spec.high, rows.scratch};
    return (spec.kind == StageKind::kMaxPool ? stage.planes.max_pool : stage.planes.average_pool)(stage.Pool(), args);
  }
  const float* weights = stage.weights.data() + size_t{channel} * spec.kernel_h * spec.kernel_w;
  const float* bias = spec.bias == nullptr ? nullptr : spec.bias + channel;
  stage.depthwise.run(stage.window, {1, rows.in, 0, rows.in_first, rows.in_count, rows.out, 0, rows.out_first,
                                     rows.out_count, weights, bias, spec.low, spec.high, rows.scratch});
}

// Means go straight to the NHWC output [batch, channels].
void Chain::MeanOfPlanes(const Call& call, const Stage& stage, uint32_t task, uint32_t tasks, float* scratch) const {
  const TiledImage& image = tensors_[stage.spec.inputs[0]].image;
  const uint32_t pixels = stage.in.height * stage.in.width;
  float* y = call.outputs[stage.spec.external] + size_t{call.image} * stage.in.channels;
  const Range channels = PartOf(0, stage.in.channels, task, tasks);
  for (uint32_t c = channels.begin; c < channels.end; ++c) {
    GatherPixels(image, c, 0, pixels, scratch);
    stage.planes.mean(scratch, pixels, pixels, 1, stage.spec.low, stage.spec.high, y + c);
  }
}

}  // namespace tfprune
