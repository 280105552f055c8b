// SPDX-License-Identifier: Apache-2.0
// The order in which a chain computes its rows, and what its tensors have to keep for it.
#include "tflite_ops/base/integers.h"
#include "tflite_ops/kernels/chain/stage.h"

namespace tfprune {
namespace {

uint32_t Gcd(uint32_t a, uint32_t b) { return b == 0 ? a : Gcd(b, a % b); }

}  // namespace

uint32_t Chain::Stage::NeededRows(uint32_t end) const {
  if (spec.kind == StageKind::kMean) return in.height;
  if (!HasWindow()) return end;
  const int64_t rows =
      (int64_t{end} - 1) * window.stride_h - window.pad_top + int64_t{window.kernel_h - 1} * window.dilation_h + 1;
  return rows <= 0 ? 0 : rows > in.height ? in.height : static_cast<uint32_t>(rows);
}

uint32_t Chain::Stage::OldestRow(uint32_t begin) const {
  if (spec.kind == StageKind::kMean) return begin == 0 ? 0 : in.height;
  if (!HasWindow()) return begin;
  if (begin >= out.height) return in.height;
  const int64_t row = int64_t{begin} * window.stride_h - window.pad_top;
  return row <= 0 ? 0 : row > in.height ? in.height : static_cast<uint32_t>(row);
}

// Steps start where a block starts, so that no two steps write the same block.
void Chain::ChooseStepRows(Stage* stage) const {
  const TensorSpec& out = stage->out;
  const uint32_t block = BlockOf(out), quantum = block / Gcd(out.width, block);
  const size_t row_floats =
      size_t{stage->in.channels} * stage->in.width * (stage->HasWindow() ? stage->window.stride_h : 1) +
      size_t{out.channels} * out.width;
  const uint32_t budget =
      static_cast<uint32_t>(size_t{step_budget_} * threads_ / row_floats);  // a cache for each thread
  const uint32_t rows = budget < quantum ? quantum : budget - budget % quantum;
  stage->step_rows = stage->spec.kind == StageKind::kMean ? out.height : Smaller(rows, out.height);
  // Equal steps: the last one should not be a remainder.
  const uint32_t steps = DivideUp(out.height, stage->step_rows);
  const uint32_t even = DivideUp(DivideUp(out.height, steps), quantum) * quantum;
  if (even < stage->step_rows) stage->step_rows = even;
}

bool Chain::ReadByWindow(uint32_t tensor) const {
  for (uint32_t s = 0; s < stage_count_; ++s) {
    const Stage& stage = *stages_[s];
    const bool window = stage.HasWindow() && !(stage.spec.kind == StageKind::kConv && IsPointwise(stage.spec));
    if (window && stage.spec.inputs[0] == tensor) return true;
  }
  return false;
}

// Tiles of one block, or of the rows of one step where a window reads or a depthwise layer writes them.
void Chain::ChooseTiles() {
  for (uint32_t s = 0; s < stage_count_; ++s) {
    const Stage& stage = *stages_[s];
    if (!stage.WritesTensor()) continue;
    if (stage.spec.kind != StageKind::kDepthwise && !ReadByWindow(stage.spec.output)) continue;
    TiledImage* image = &tensors_[stage.spec.output].image;
    const uint32_t pixels = Smaller(stage.step_rows, stage.out.height) * stage.out.width;
    const uint32_t block = BlockOf(stage.out);
    image->tile = DivideUp(pixels, block) * block;
    // An odd number of cache lines between channels spreads them over the sets of a cache.
    image->stride = image->tile + kMaxLanes;
    if (image->stride / kMaxLanes % 2 == 0) image->stride += kMaxLanes;
  }
}

bool Chain::Ready(const Stage& stage) const {
  if (stage.done == stage.out.height) return false;
  const uint32_t end = Smaller(stage.done + stage.step_rows, stage.out.height);
  for (uint32_t i = 0; i < stage.InputCount(); ++i) {
    if (tensors_[stage.spec.inputs[i]].done < stage.NeededRows(end)) return false;
  }
  return true;
}

// Makes the ring of a tensor long enough for all rows from the oldest that some stage still reads to the newest, and
// for those from `written` on, read or not: tasks of one step write at the same time.
void Chain::KeepTiles(uint32_t index, uint32_t written) {
  Tensor& tensor = tensors_[index];
  uint32_t oldest = written;
  for (uint32_t s = 0; s < stage_count_; ++s) {
    const Stage& stage = *stages_[s];
    for (uint32_t i = 0; i < stage.InputCount(); ++i) {
      if (stage.spec.inputs[i] == index) oldest = Smaller(oldest, stage.OldestRow(stage.done));
    }
  }
  const uint32_t width = tensor.spec.width, tile = tensor.image.tile;
  const uint32_t live = DivideUp(tensor.done * width, tile) - oldest * width / tile;
  if (live > tensor.image.slots) tensor.image.slots = live;
}

void Chain::Advance(uint32_t index) {
  Stage& stage = *stages_[index];
  const uint32_t rows = Smaller(stage.step_rows, stage.out.height - stage.done);
  steps_[step_count_] = {index, stage.done, rows};
  if (stage.WritesTensor()) {
    Tensor& tensor = tensors_[stage.spec.output];
    if (tensor.done == 0) tensor.first_step = step_count_;
    tensor.done += rows;
    tensor.last_step = step_count_;  // rows that nobody reads may be written behind the last read
    KeepTiles(stage.spec.output, stage.done);
  }
  for (uint32_t i = 0; i < stage.InputCount(); ++i) tensors_[stage.spec.inputs[i]].last_step = step_count_;
  stage.done += rows;
  ++step_count_;
}

Status Chain::MakeSchedule() {
  size_t total = 0;
  for (uint32_t s = 0; s < stage_count_; ++s) {
    total += DivideUp(stages_[s]->out.height, stages_[s]->step_rows);
  }
  if (!steps_.Reserve(total + 1) || !next_task_.Reserve((total + 1) * threads_) || !done_tasks_.Reserve(total + 1))
    return Error("chain: no memory for its schedule");
  step_count_ = 0;
  while (step_count_ < total) {
    uint32_t s = stage_count_;
    while (s > 0 && !Ready(*stages_[s - 1])) --s;
    if (s == 0) return Error("chain: its layers do not fit together");
    Advance(s - 1);
  }
  return {};
}

// First fit by size: tensors that are never alive at the same time share memory.
Status Chain::PlaceTensors() {
  arena_floats_ = 0;
  AlignedArray<uint32_t> order;
  AlignedArray<size_t> sizes;
  if (!order.Reserve(tensor_count_ + 1) || !sizes.Reserve(tensor_count_ + 1)) return Error("chain: no memory");
  for (uint32_t t = 0; t < tensor_count_; ++t) {
    const Tensor& tensor = tensors_[t];
    sizes[t] = tensor.image.Floats() + 2 * kDepthwiseReach;  // room before and behind
    uint32_t place = t;
    while (place > 0 && sizes[order[place - 1]] < sizes[t]) order[place] = order[place - 1], --place;
    order[place] = t;
  }
  for (uint32_t i = 0; i < tensor_count_; ++i) {
    Tensor& tensor = tensors_[order[i]];
    tensor.offset = 0;
    for (uint32_t j = 0; j < i; ++j) {
      const Tensor& other = tensors_[order[j]];
      const bool together = tensor.first_step <= other.last_step && other.first_step <= tensor.last_step;
      const size_t end = other.offset + sizes[order[j]];
      if (!together || end <= tensor.offset || other.offset >= tensor.offset + sizes[order[i]]) continue;
      tensor.offset = end;
      j = static_cast<uint32_t>(-1);  // the new place may meet others
    }
    if (tensor.offset + sizes[order[i]] > arena_floats_) arena_floats_ = tensor.offset + sizes[order[i]];
  }
  return {};
}

}  // namespace tfprune
