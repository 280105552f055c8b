// SPDX-License-Identifier: Apache-2.0
// A Conv2DPlan between planar layers: tiles in, tiles out.
#include <string.h>

#include "tflite_ops/base/integers.h"
#include "tflite_ops/kernels/conv2d/conv2d.h"

namespace tfprune {
uint32_t Conv2DPlan::TiledTasks(uint32_t first, uint32_t rows) const {
  if (!pointwise_) return DivideUp(rows, strip_rows_) * row_parts_;
  const uint32_t begin = first * shape_.out.width / view_.width;
  return (DivideUp((first + rows) * shape_.out.width, view_.width) - begin) * row_parts_;
}

// Planes, and the rows of a kernel before they are moved to their tiles.
size_t Conv2DPlan::TiledScratchFloats() const {
  return pointwise_ ? 0 : planes_floats_ + kScratchRows * kernel_.tile + kMaxLanes;
}

void Conv2DPlan::RunTiled(const TiledImage& in, const TiledImage& out, const float* bias, uint32_t first, uint32_t rows,
                          uint32_t task, float* scratch, const TiledImage* addend) const {
  const TileArgs args = ArgsOf(bias, task % row_parts_);
  const uint32_t part = task / row_parts_;
  if (args.row_begin >= args.row_end) return;
  if (pointwise_) return RunTiledBlock(in, out, addend, first * shape_.out.width / view_.width + part, args);
  Strip strip = {0, first + part * strip_rows_, strip_rows_};
  if (strip.first + strip.rows > first + rows) strip.rows = first + rows - strip.first;
  RunTiledStrip(in, out, strip, args, scratch);
}

void Conv2DPlan::RunTiledBlock(const TiledImage& in, const TiledImage& out, const TiledImage* addend, uint32_t block,
                               TileArgs args) const {
  const uint32_t first = block * view_.width, pixels = shape_.out.height * shape_.out.width;
  const uint32_t positions = pixels - first < view_.width ? pixels - first : view_.width;
  args.row_stride = out.stride;
  args.room = UINT32_MAX;
  uint32_t width = 0;
  for (uint32_t begin = 0; begin < positions; begin += width) {
    const TileFn run = kernel_.Fit(positions - begin, &width);
    args.x = in.At(first) + begin;
    if (addend != nullptr) args.addend = addend->At(first) + begin, args.addend_stride = addend->stride;
    args.rows = out.At(first) + args.row_begin * out.stride + begin;
    run(args);
  }
}

void Conv2DPlan::RunTiledStrip(const TiledImage& in, const TiledImage& out, const Strip& strip, TileArgs args,
                               float* scratch) const {
  Segment segments[2 * kMaxTile + 2];
  args.segments = segments;
  args.position_stride = 1;
  args.channel_stride = out.stride;
  FillFromTiles(in, strip, scratch);
  const size_t positions = size_t{strip.rows - 1} * plane_width_ + view_.width;
  uint32_t width = 0;
  for (size_t begin = 0; begin < positions; begin += width) {
    const TileFn run = kernel_.Fit(positions - begin, &width);
    args.x = scratch + begin;
    if (RowsTouch() && WriteInPlace(out, strip, begin, width, &args)) {
      run(args);
      continue;
    }
    args.rows = scratch + planes_floats_;
    args.row_stride = kernel_.tile;
    args.room = kScratchRows;
    args.segment_count = TiledSegments(out, strip, begin, width, segments);
    if (args.segment_count > 0) run(args);
  }
}

// Where positions are pixels and a whole tile of the kernel fits into one of the image, rows need not be moved.
bool Conv2DPlan::WriteInPlace(const TiledImage& out, const Strip& strip, size_t begin, uint32_t width,
                              TileArgs* args) const {
  const uint32_t pixel = strip.first * view_.width + static_cast<uint32_t>(begin);
  if (begin + width > size_t{strip.rows} * view_.width || out.Rest(pixel) < width) return false;
  args->rows = out.At(pixel) + args->row_begin * out.stride;
  args->row_stride = out.stride;
  args->room = UINT32_MAX;
  args->segment_count = 0;
  return true;
}

uint32_t Conv2DPlan::TiledSegments(const TiledImage& out, const Strip& strip, size_t begin, uint32_t width,
                                   Segment* segments) const {
  uint32_t count = 0;
  const size_t end = begin + width;
  for (size_t row = RowsTouch() ? 0 : begin / plane_width_; row < RowCount(strip) && row * plane_width_ < end; ++row) {
    const size_t row_begin = row * plane_width_, row_end = row_begin + RowWidth(strip);
    size_t from = row_begin > begin ? row_begin : begin;
    const size_t to = row_end < end ? row_end : end;
    while (from < to) {
      const uint32_t pixel = static_cast<uint32_t>((strip.first + row) * view_.width + (from - row_begin));
      const uint32_t rest = out.Rest(pixel), run = to - from < rest ? static_cast<uint32_t>(to - from) : rest;
      segments[count++] = {static_cast<uint32_t>(from - begin), run, out.At(pixel)};
      from += run;
    }
  }
  return count;
}

// Row by row of every phase, all channels of a row together.
void Conv2DPlan::FillFromTiles(const TiledImage& in, const Strip& strip, float* planes) const {
  const uint32_t channels = weights_->in_channels;
  for (uint32_t phase = 0; phase < phases_.count(); ++phase) {
    for (uint32_t row = 0; row < strip.rows + halo_rows_; ++row) {
      const PlaneRow from = RowOf(strip.first, phase, row);
      float* to = planes + phase * (channels * plane_stride_) + size_t{row} * plane_width_;
      for (uint32_t c = 0; c < channels; ++c) memset(to + c * plane_stride_, 0, from.left * sizeof(float));
      if (from.right > from.left) {
        const float* x = in.At(static_cast<uint32_t>(from.y) * shape_.in.width) +
                         (static_cast<int64_t>(from.left) * weights_->stride_w + from.shift);
        for (uint32_t c = 0; c < channels; ++c) {
          kernels_.copy_strided(x + c * in.stride, weights_->stride_w, from.right - from.left,
                                to + c * plane_stride_ + from.left);
        }
      }
      for (uint32_t c = 0; from.right < plane_width_ && c < channels; ++c) {
        memset(to + c * plane_stride_ + from.right, 0, (plane_width_ - from.right) * sizeof(float));
      }
    }
  }
}

}  // namespace tfprune
