// SPDX-License-Identifier: Apache-2.0
// A Conv2DPlan at work: fill the planes of a strip, walk its tiles.
#include <string.h>

#include "tflite_ops/kernels/conv2d/conv2d.h"

namespace tfprune {

struct Conv2DPlan::Job {
  const Conv2DPlan* plan;
  const float* x;
  const float* bias;
  float* y;
  float* scratch;         // one slot a thread
  size_t scratch_floats;  // of a slot
};

uint32_t PartBegin(const PackedWeights& w, uint32_t part, uint32_t parts) {
  if (part == 0) return 0;
  if (part >= parts) return w.out_channels;
  const uint64_t wanted = (uint64_t{w.UnitEnd(w.unit_count() - 1)} * part + parts - 1) / parts;
  uint32_t low = 0, high = w.unit_count() - 1;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (w.UnitEnd(middle) >= wanted) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return w.UnitRow(low);
}

// A whole number of cache lines: planes, and the rows of a kernel before they are moved to the output.
size_t Conv2DPlan::ScratchFloats() const {
  const size_t bytes = (planes_floats_ + kScratchRows * kernel_.tile + kMaxLanes) * value_bytes_;
  return (bytes / sizeof(float) + 15) / 16 * 16;
}

bool Conv2DPlan::Run(const float* x, const float* bias, float* y, ThreadPool* pool, Workspace* workspace) const {
  if (kernel_.runs[0] == nullptr) {  // as asked, or there is no pixel: Prepare sees to it
    ReferenceConv2D(*weights_, shape_, x, bias, y);
    return true;
  }
  Job job = {this, x, bias, y, nullptr, 0};
  const bool single = kernel_.tile == 1;
  job.scratch_floats = single ? 0 : ScratchFloats();
  if (!workspace->floats.Reserve(job.scratch_floats * threads_)) return false;
  job.scratch = workspace->floats.data();
  const size_t tasks = size_t{view_.batch} * strips_per_image_ * row_parts_;
  pool->Run(
      threads_, tasks,
      [](void* context, size_t task, uint32_t slot) {
        const Job& job = *static_cast<const Job*>(context);
        if (job.plan->kernel_.tile == 1) {
          job.plan->RunPixels(job, task);
        } else {
          job.plan->RunStrip(job, task, slot);
        }
      },
      &job);
  return true;
}

TileArgs Conv2DPlan::ArgsOf(const float* bias, uint32_t part) const {
  TileArgs args = {};
  args.weights = weights_;
  args.cell_offsets = cell_offsets_.data();
  args.halves = halves_;
  args.part_ends = part_ends_.data();
  args.part_count = part_count_;
  args.bias = bias;
  args.low = low_;
  args.high = high_;
  args.row_begin = PartBegin(*weights_, part, row_parts_);
  args.row_end = PartBegin(*weights_, part + 1, row_parts_);
  args.position_stride = weights_->out_channels;
  args.channel_stride = 1;
  args.row_stride = kernel_.tile;
  args.room = kScratchRows;
  return args;
}

void Conv2DPlan::RunPixels(const Job& job, size_t task) const {
  const size_t pixel = task / row_parts_;
  const Segment segment = {0, 1, job.y + pixel * weights_->out_channels};
  TileArgs args = ArgsOf(job.bias, static_cast<uint32_t>(task % row_parts_));
  args.segments = &segment;
  args.segment_count = 1;
  args.x = job.x + pixel * weights_->in_channels;
  if (args.row_begin < args.row_end) kernel_.runs[0](args);
}

void Conv2DPlan::RunStrip(const Job& job, size_t task, uint32_t slot) const {
  const size_t strip_index = task / row_parts_;
  Strip strip = {static_cast<uint32_t>(strip_index / strips_per_image_),
                 static_cast<uint32_t>(strip_index % strips_per_image_) * strip_rows_, strip_rows_};
  if (strip.first + strip.rows > view_.height) strip.rows = view_.height - strip.first;

  char* planes = reinterpret_cast<char*>(job.scratch + slot * job.scratch_floats);
  Segment segments[kMaxTile + 1];
  TileArgs args = ArgsOf(job.bias, static_cast<uint32_t>(task % row_parts_));
  args.segments = segments;
  args.rows = reinterpret_cast<float*>(planes + planes_floats_ * value_bytes_);
  if (args.row_begin >= args.row_end) return;
  FillStrip(job, strip, planes);
  const size_t positions = pointwise_ ? PixelsOf(strip) : size_t{strip.rows - 1} * plane_width_ + view_.width;
  uint32_t width = 0;
  for (size_t begin = 0; begin < positions; begin += width) {
    const TileFn run = kernel_.Fit(positions - begin, &width);
    args.x = reinterpret_cast<const float*>(planes + begin * value_bytes_);
    args.segment_count = SegmentsOf(job, strip, begin, width, segments);
    if (args.segment_count > 0) run(args);
  }
}

// Pixels of a 1x1 convolution's strip, which is one tile.
size_t Conv2DPlan::PixelsOf(const Strip& strip) const {
  const size_t pixels = size_t{shape_.out.batch} * shape_.out.height * shape_.out.width;
  const size_t first = size_t{strip.first} * view_.width;
  return pixels - first < view_.width ? pixels - first : view_.width;
}

uint32_t Conv2DPlan::SegmentsOf(const Job& job, const Strip& strip, size_t begin, uint32_t width,
                                Segment* segments) const {
  const size_t channels = weights_->out_channels;
  const size_t end = begin + width;
  if (pointwise_) {
    const size_t rest = PixelsOf(strip) - begin;
    const size_t pixel = size_t{strip.first} * view_.width + begin;
    segments[0] = {0, rest < width ? static_cast<uint32_t>(rest) : width, job.y + pixel * channels};
    return 1;
  }
  uint32_t count = 0;
  for (size_t row = RowsTouch() ? 0 : begin / plane_width_; row < RowCount(strip) && row * plane_width_ < end; ++row) {
    const size_t row_begin = row * plane_width_, row_end = row_begin + RowWidth(strip);
    const size_t from = row_begin > begin ? row_begin : begin, to = row_end < end ? row_end : end;
    if (from >= to) continue;
    const size_t pixel = (size_t{strip.image} * view_.height + strip.first + row) * view_.width + (from - row_begin);
    segments[count++] = {static_cast<uint32_t>(from - begin), static_cast<uint32_t>(to - from),
                         job.y + pixel * channels};
  }
  return count;
}

void Conv2DPlan::FillStrip(const Job& job, const Strip& strip, char* planes) const {
  const PackedWeights& w = *weights_;
  if (pointwise_) {
    const float* first = job.x + size_t{strip.first} * view_.width * w.in_channels;
    kernels_.to_planar(first, w.in_channels, PixelsOf(strip), w.in_channels, reinterpret_cast<float*>(planes),
                       plane_stride_);
    return;
  }
  for (uint32_t phase = 0; phase < phases_.count(); ++phase) {
    for (uint32_t row = 0; row < strip.rows + halo_rows_; ++row) FillRow(job, strip, phase, row, planes);
  }
}

Conv2DPlan::PlaneRow Conv2DPlan::RowOf(uint32_t first, uint32_t phase, uint32_t row) const {
  const PackedWeights& w = *weights_;
  const int64_t a = phases_.FirstRow(phase), b = phases_.FirstColumn(phase), stride = w.stride_w, width = plane_width_;
  const int64_t y = (int64_t{first} + row) * w.stride_h + a - shape_.pad_top, shift = b - shape_.pad_left;
  int64_t left = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
  int64_t right = shape_.in.width > shift ? (shape_.in.width - shift + stride - 1) / stride : 0;
  if (y < 0 || y >= shape_.in.height) right = 0;
  if (right > width) right = width;
  if (left > right) left = right;
  return {y, shift, static_cast<size_t>(left), static_cast<size_t>(right)};
}

// One row of every channel's plane of one phase. The order matters: ToPlanar may write behind the pixels, into what the
// zeros on the right and the next row set afterwards.
void Conv2DPlan::FillRow(const Job& job, const Strip& strip, uint32_t phase, uint32_t row, char* planes) const {
  const PackedWeights& w = *weights_;
  const PlaneRow from = RowOf(strip.first, phase, row);
  const size_t channel_bytes = plane_stride_ * value_bytes_;
  char* out = planes + phase * (w.in_channels * channel_bytes) + row * (plane_width_ * value_bytes_);
  for (uint32_t c = 0; c < w.in_channels; ++c) memset(out + c * channel_bytes, 0, from.left * value_bytes_);
  if (from.right > from.left) {
    const int64_t column = static_cast<int64_t>(from.left) * w.stride_w + from.shift;
    const int64_t pixel = (strip.image * int64_t{shape_.in.height} + from.y) * shape_.in.width + column;
    kernels_.to_planar(job.x + pixel * w.in_channels, size_t{w.stride_w} * w.in_channels, from.right - from.left,
                       w.in_channels, reinterpret_cast<float*>(out + from.left * value_bytes_), plane_stride_);
  }
  for (uint32_t c = 0; from.right < plane_width_ && c < w.in_channels; ++c) {
    memset(out + c * channel_bytes + from.right * value_bytes_, 0, (plane_width_ - from.right) * value_bytes_);
  }
}

}  // namespace tfprune
