// SPDX-License-Identifier: Apache-2.0
// A Conv2DPlan between planar layers: tiles in, tiles out.
#include <string.h>

#include "tflite_ops/kernels/conv2d/conv2d.h"

namespace tfprune {
namespace {

uint32_t DivideUp(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

}  // namespace

uint32_t Conv2DPlan::TiledTasks(uint32_t first, uint32_t rows) const {
  if (!pointwise_) return DivideUp(rows, strip_rows_) * row_parts_;
  const uint32_t begin = first * shape_.out.width / view_.width;
  return (DivideUp((first + rows) * shape_.out.width, view_.width) - begin) * row_parts_;
}

size_t Conv2DPlan::TiledScratchFloats() const {
  if (pointwise_) return 0;
  // Planes, the rows of a tile, and the input rows of one channel as whole tiles.
  const size_t rows = size_t{strip_rows_ + halo_rows_ + 1} * weights_->stride_h;
  const size_t gathered = (rows < shape_.in.height ? rows : shape_.in.height) * shape_.in.width + 2 * kMaxTile;
  return planes_floats_ + kScratchRows * kernel_.tile + kMaxLanes + gathered;
}

void Conv2DPlan::RunTiled(const TiledImage& in, const TiledImage& out, const float* bias, uint32_t first, uint32_t rows,
                          uint32_t task, float* scratch) const {
  const TileArgs args = ArgsOf(bias, task % row_parts_);
  const uint32_t part = task / row_parts_;
  if (args.row_begin >= args.row_end) return;
  if (pointwise_) return RunTiledPoints(in, out, first * shape_.out.width / view_.width + part, args);
  Strip strip = {0, first + part * strip_rows_, strip_rows_};
  if (strip.first + strip.rows > first + rows) strip.rows = first + rows - strip.first;
  RunTiledStrip(in, out, strip, args, scratch);
}

void Conv2DPlan::RunTiledPoints(const TiledImage& in, const TiledImage& out, uint32_t tile, TileArgs args) const {
  const uint32_t pixels = shape_.out.height * shape_.out.width, rest = pixels - tile * in.tile;
  const uint32_t positions = rest < in.tile ? rest : in.tile;
  args.row_stride = out.tile;
  args.room = UINT32_MAX;
  uint32_t width = 0;
  for (uint32_t begin = 0; begin < positions; begin += width) {
    const TileFn run = kernel_.Fit(positions - begin, &width);
    args.x = in.Tile(tile) + begin;
    args.rows = out.Tile(tile) + size_t{args.row_begin} * out.tile + begin;
    run(args);
  }
}

void Conv2DPlan::RunTiledStrip(const TiledImage& in, const TiledImage& out, const Strip& strip, TileArgs args,
                               float* scratch) const {
  Segment segments[2 * kMaxTile + 2];
  args.segments = segments;
  args.position_stride = 1;
  args.channel_stride = out.tile;
  args.rows = scratch + planes_floats_;
  FillFromTiles(in, strip, scratch);
  const size_t positions = size_t{strip.rows - 1} * plane_width_ + view_.width;
  uint32_t width = 0;
  for (size_t begin = 0; begin < positions; begin += width) {
    const TileFn run = kernel_.Fit(positions - begin, &width);
    args.x = scratch + begin;
    args.segment_count = TiledSegments(out, strip, begin, width, segments);
    if (args.segment_count > 0) run(args);
  }
}

uint32_t Conv2DPlan::TiledSegments(const TiledImage& out, const Strip& strip, size_t begin, uint32_t width,
                                   Segment* segments) const {
  uint32_t count = 0;
  const size_t end = begin + width;
  for (size_t row = begin / plane_width_; row < strip.rows && row * plane_width_ < end; ++row) {
    const size_t row_begin = row * plane_width_, row_end = row_begin + view_.width;
    size_t from = row_begin > begin ? row_begin : begin;
    const size_t to = row_end < end ? row_end : end;
    while (from < to) {
      const uint32_t pixel = static_cast<uint32_t>((strip.first + row) * view_.width + (from - row_begin));
      const uint32_t inside = pixel % out.tile, room = out.tile - inside;
      const uint32_t run = to - from < room ? static_cast<uint32_t>(to - from) : room;
      segments[count++] = {static_cast<uint32_t>(from - begin), run, out.Tile(pixel / out.tile) + inside};
      from += run;
    }
  }
  return count;
}

// Channel by channel: the input rows of the strip are laid side by side, then copied into the planes of every phase.
void Conv2DPlan::FillFromTiles(const TiledImage& in, const Strip& strip, float* planes) const {
  const PackedWeights& w = *weights_;
  const int64_t height = shape_.in.height, width = shape_.in.width;
  const int64_t reach = int64_t{strip.rows + halo_rows_} * w.stride_h;
  int64_t first = int64_t{strip.first} * w.stride_h - shape_.pad_top, last = first + reach;
  if (first < 0) first = 0;
  if (last > height) last = height;
  float* gathered = planes + planes_floats_ + kScratchRows * kernel_.tile + kMaxLanes + kMaxTile;
  for (uint32_t c = 0; c < w.in_channels; ++c) {
    if (first < last) {
      kernels_.gather(in, c, 1, static_cast<uint32_t>(first * width), static_cast<uint32_t>(last * width), gathered, 0);
    }
    for (uint32_t phase = 0; phase < phase_count_; ++phase) {
      float* plane = planes + (size_t{phase} * w.in_channels + c) * plane_stride_;
      for (uint32_t row = 0; row < strip.rows + halo_rows_; ++row) {
        const PlaneRow from = RowOf(strip.first, phase, row);
        float* to = plane + size_t{row} * plane_width_;
        memset(to, 0, from.left * sizeof(float));
        if (from.right > from.left) {
          const int64_t column = static_cast<int64_t>(from.left) * w.stride_w + from.shift;
          kernels_.copy_strided(gathered + (from.y - first) * width + column, w.stride_w, from.right - from.left,
                                to + from.left);
        }
        if (from.right < plane_width_) memset(to + from.right, 0, (plane_width_ - from.right) * sizeof(float));
      }
    }
  }
}

}  // namespace tfprune
