// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/kernels/conv2d/strips.h"

#include "tflite_ops/base/integers.h"

namespace tfprune {
namespace {

constexpr size_t kPlanesBudget = 384 * 1024;  // bytes: planes of a strip should stay in a core's second-level cache
constexpr size_t kAliasingBytes = 1024;       // planes a multiple of this apart would compete for cache sets

size_t Pixels(const ImageSize& size) { return size_t{size.batch} * size.height * size.width; }

}  // namespace

Status StripPlan::Prepare(const PackedWeights& weights, const ConvShape& shape, const PlaneRules& rules,
                          uint32_t threads) {
  weights_ = &weights;
  shape_ = shape;
  rules_ = rules;
  view_ = shape.out;
  pointwise_ = IsPointwise(weights);
  if (pointwise_) view_ = {1, DivideUp(static_cast<uint32_t>(Pixels(shape.out)), rules.tile), rules.tile};
  const PackedWeights& w = weights;
  phases_ = Phases(w, false);
  halo_rows_ = (w.kernel_h - 1) * w.dilation_h / w.stride_h;
  plane_width_ = view_.width + (w.kernel_w - 1) * w.dilation_w / w.stride_w;
  // Both sums of two numbers below 2^31 fit 32 bits; a plane that large is refused here, before anything multiplies.
  const uint64_t smallest_plane = (uint64_t{halo_rows_} + 1) * plane_width_;
  if (smallest_plane > UINT32_MAX >> 3)
    return Error("convolution: padding makes planes of %llu values", static_cast<unsigned long long>(smallest_plane));
  SplitWork(threads);
  plane_stride_ = size_t{strip_rows_ + halo_rows_} * plane_width_;
  if (!pointwise_) {
    plane_stride_ = (plane_stride_ + 2 * rules.overrun - 1) / rules.overrun * rules.overrun;
    if (plane_stride_ * rules.cell_bytes % kAliasingBytes == 0) plane_stride_ += rules.overrun;
  }
  if (!CheckedMultiply(plane_stride_ * rules.cell_bytes, size_t{rules.planes} * phases_.count(), &planes_bytes_) ||
      planes_bytes_ > (UINT32_MAX >> 1)) {
    return Error("convolution: %u channels of width %u need more scratch memory than 32-bit offsets reach",
                 w.in_channels, plane_width_);
  }
  planes_bytes_ = RoundUpToAlignment(planes_bytes_ + rules.tail_bytes);
  return {};
}

void StripPlan::PrepareSingle(const PackedWeights& weights, const ConvShape& shape, uint32_t threads) {
  weights_ = &weights;
  shape_ = shape;
  const uint32_t pixels = static_cast<uint32_t>(Pixels(shape.out));
  view_ = {1, pixels, 1};
  pointwise_ = true;
  strip_rows_ = 1;
  strips_per_image_ = pixels;
  row_parts_ = Smaller(DivideUp(threads, pixels), weights.unit_count());
  planes_bytes_ = 0;
}

// Chooses the rows of a strip, and parts of the output channels where there are too few strips for the threads.
void StripPlan::SplitWork(uint32_t threads) {
  strip_rows_ = 1;
  if (!pointwise_) {
    const size_t row_bytes = size_t{plane_width_} * rules_.planes * phases_.count() * rules_.cell_bytes + 1;
    const uint32_t budget_rows = static_cast<uint32_t>(kPlanesBudget / row_bytes);
    const uint32_t least = Smaller(view_.height, DivideUp(2 * rules_.tile, plane_width_) + halo_rows_);
    uint32_t rows = budget_rows > halo_rows_ + least ? budget_rows - halo_rows_ : least;
    uint32_t strips = DivideUp(view_.height, Smaller(rows, view_.height));
    if (view_.batch * strips % threads != 0) strips = DivideUp(strips, threads) * threads;
    rows = DivideUp(view_.height, strips);
    strip_rows_ = rows < least ? least : rows;
  }
  strips_per_image_ = DivideUp(view_.height, strip_rows_);
  const uint64_t strips = uint64_t{strips_per_image_} * view_.batch;
  row_parts_ =
      strips >= threads ? 1 : Smaller(DivideUp(threads, static_cast<uint32_t>(strips)), weights_->unit_count());
}

StripTask StripPlan::TaskOf(size_t task) const {
  const size_t strip = task / row_parts_;
  const uint32_t part = static_cast<uint32_t>(task % row_parts_);
  StripTask found = {static_cast<uint32_t>(strip / strips_per_image_),
                     static_cast<uint32_t>(strip % strips_per_image_) * strip_rows_, strip_rows_,
                     PartBegin(*weights_, part, row_parts_), PartBegin(*weights_, part + 1, row_parts_)};
  if (found.first + found.rows > view_.height) found.rows = view_.height - found.first;
  return found;
}

size_t StripPlan::PixelsOf(const StripTask& strip) const {
  const size_t rest = Pixels(shape_.out) - FirstPixel(strip);
  return rest < view_.width ? rest : view_.width;
}

size_t StripPlan::PositionsOf(const StripTask& strip) const {
  return pointwise_ ? PixelsOf(strip) : size_t{strip.rows - 1} * plane_width_ + view_.width;
}

uint32_t StripPlan::RunsOf(const StripTask& strip, size_t begin, size_t width, PixelRun* runs) const {
  if (pointwise_) {
    const size_t rest = PixelsOf(strip) - begin;
    runs[0] = {0, static_cast<uint32_t>(rest < width ? rest : width), FirstPixel(strip) + begin};
    return 1;
  }
  uint32_t count = 0;
  const size_t end = begin + width;
  for (size_t row = begin / plane_width_; row < strip.rows && row * plane_width_ < end; ++row) {
    const size_t row_begin = row * plane_width_, row_end = row_begin + view_.width;
    const size_t from = row_begin > begin ? row_begin : begin, to = row_end < end ? row_end : end;
    if (from >= to) continue;
    const size_t pixel = (size_t{strip.image} * view_.height + strip.first + row) * view_.width + (from - row_begin);
    runs[count++] = {static_cast<uint32_t>(from - begin), static_cast<uint32_t>(to - from), pixel};
  }
  return count;
}

PlaneRow StripPlan::RowOf(const StripTask& strip, uint32_t phase, uint32_t row) const {
  const PackedWeights& w = *weights_;
  const int64_t a = phases_.FirstRow(phase), b = phases_.FirstColumn(phase);
  const int64_t y = (int64_t{strip.first} + row) * w.stride_h + a - shape_.pad_top;
  // Input column of plane column i: i * stride_w + shift. Inside the image for i in [left, right).
  const int64_t shift = b - shape_.pad_left, width = plane_width_, stride = w.stride_w;
  int64_t left = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
  int64_t right = shape_.in.width > shift ? (shape_.in.width - shift + stride - 1) / stride : 0;
  if (y < 0 || y >= shape_.in.height) right = 0;
  if (right > width) right = width;
  if (left > right) left = right;
  const int64_t pixel =
      right > left ? (strip.image * int64_t{shape_.in.height} + y) * shape_.in.width + left * stride + shift : 0;
  return {static_cast<size_t>(pixel), static_cast<size_t>(left), static_cast<size_t>(right)};
}

uint32_t StripPlan::PlaceOf(uint32_t column, uint32_t plane) const {
  const Phases::Place at = phases_.Of(column / weights_->in_channels);
  const size_t first = (size_t{at.phase} * rules_.planes + plane) * plane_stride_;
  const size_t place = first + size_t{at.row} * plane_width_ + at.column;
  return static_cast<uint32_t>(place * rules_.cell_bytes);
}

}  // namespace tfprune
