// SPDX-License-Identifier: Apache-2.0
// A chain at work: every thread walks the steps, takes tasks of the step, and waits for the others behind it.
#include <string.h>

#include "tflite_ops/kernels/chain/stage.h"

namespace tfprune {
namespace {

constexpr size_t kWindowFloats = 6 * 1024;
constexpr uint32_t kMostChannels = 16;
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
  return ChannelsAtOnce(stage) * (InStride(stage) + OutStride(stage)) + WindowScratch(stage);
}

// Floats between the channels of a window's rows, with room for whole tiles and what the kernels may touch.
size_t Chain::InStride(const Stage& stage) const {
  size_t rows =
      size_t{stage.step_rows} * stage.window.stride_h + size_t{stage.window.kernel_h} * stage.window.dilation_h;
  if (rows > stage.in.height) rows = stage.in.height;
  return rows * stage.in.width + 2 * (tile_ + kDepthwiseReach);
}

size_t Chain::OutStride(const Stage& stage) const { return size_t{stage.step_rows} * stage.out.width + 2 * tile_; }

// Channels of a window computed in one call: in and out they should fill half a core's first-level cache.
uint32_t Chain::ChannelsAtOnce(const Stage& stage) const {
  if (stage.out.channels != stage.in.channels) return 1;  // a multiplier repeats input channels
  const uint32_t channels = static_cast<uint32_t>(kWindowFloats / (InStride(stage) + OutStride(stage)));
  return channels == 0 ? 1 : Smaller(channels, kMostChannels);
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
  if (clock_ != nullptr) ++runs_;
  return true;
}

void Chain::RunMember(Call* call, uint32_t member, uint32_t team) {
  float* scratch = call->scratch + member * scratch_floats_;
  const bool timed = clock_ != nullptr && member == 0;
  uint64_t before = timed ? clock_() : 0;
  for (uint32_t s = 0; s < step_count_; ++s) {
    RunStep(call, s, team, scratch);
    if (!timed) continue;
    const uint64_t now = clock_();
    stage_time_[steps_[s].stage] += now - before;
    before = now;
  }
}

void Chain::RunStep(Call* call, uint32_t index, uint32_t team, float* scratch) {
  const Step& step = steps_[index];
  const Stage& stage = *stages_[step.stage];
  const uint32_t tasks = TasksOf(stage, step, team);
  if (team == 1) {
    for (uint32_t task = 0; task < tasks; ++task) RunTask(*call, stage, step, task, tasks, scratch);
    return;
  }
  for (;;) {
    const uint32_t task = __atomic_fetch_add(&next_task_[index], 1, __ATOMIC_RELAXED);
    if (task >= tasks) break;
    RunTask(*call, stage, step, task, tasks, scratch);
  }
  call->barrier.Wait(team);
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

// Depthwise convolution or pooling: rows of a few channels are laid side by side, computed, and put back into tiles.
// Of a few, because what was just written cannot be read at once: the vectors start elsewhere.
void Chain::RunWindow(const Stage& stage, const Step& step, uint32_t task, uint32_t tasks, float* scratch) const {
  const TiledImage &in = tensors_[stage.spec.inputs[0]].image, &out = tensors_[stage.spec.output].image;
  const uint32_t multiplier = stage.out.channels / stage.in.channels;
  const uint32_t in_first = stage.OldestRow(step.first), in_end = stage.NeededRows(step.first + step.rows);
  const uint32_t in_width = stage.in.width, out_width = stage.out.width;
  const uint32_t most = ChannelsAtOnce(stage);
  PlaneRows rows = {};
  rows.in_stride = InStride(stage);
  rows.out_stride = OutStride(stage);
  rows.out = scratch;
  rows.in = scratch + most * rows.out_stride + tile_ + kDepthwiseReach;
  rows.scratch = scratch + most * (rows.out_stride + rows.in_stride);
  rows.in_first = in_first;
  rows.in_count = in_end - in_first;
  rows.out_first = step.first;
  rows.out_count = step.rows;
  const Range channels = PartOf(0, stage.out.channels, task, tasks);
  for (uint32_t c = channels.begin; c < channels.end; c += rows.channels) {
    rows.channels = Smaller(most, channels.end - c);
    stage.kernels.gather(in, c / multiplier, rows.channels, in_first * in_width, in_end * in_width, rows.in,
                         rows.in_stride);
    RunPlanes(stage, rows, c);
    stage.kernels.scatter(out, c, rows.channels, step.first * out_width, (step.first + step.rows) * out_width, rows.out,
                          rows.out_stride);
  }
}

void Chain::RunPlanes(const Stage& stage, const PlaneRows& r, uint32_t channel) {
  const StageSpec& spec = stage.spec;
  if (stage.IsPool()) {
    const PoolArgs args = {r.channels,   r.in,        r.in_stride, r.in_first, r.in_count, r.out,
                           r.out_stride, r.out_first, r.out_count, spec.low,   spec.high,  r.scratch};
    return (spec.kind == StageKind::kMaxPool ? stage.planes.max_pool : stage.planes.average_pool)(stage.Pool(), args);
  }
  const float* weights = stage.weights.data() + size_t{channel} * spec.kernel_h * spec.kernel_w;
  const float* bias = spec.bias == nullptr ? nullptr : spec.bias + channel;
  stage.depthwise.run(stage.window, {r.channels, r.in, r.in_stride, r.in_first, r.in_count, r.out, r.out_stride,
                                     r.out_first, r.out_count, weights, bias, spec.low, spec.high, r.scratch});
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
