// SPDX-License-Identifier: Apache-2.0
// An Int8Conv2DPlan at work: quantise float activations, fill the planes of a strip, walk its tiles.
#include <string.h>

#include "tflite_ops/kernels/conv2d_int8/conv2d_int8.h"

namespace tfprune {
namespace {

constexpr size_t kQuantizeBlock = 8192;  // floats that one task quantises, about

// Float activations on their way to bytes. `parts` have a range each and `count` floats each; each is cut into
// `blocks`.
struct Quantization {
  const float* x;
  size_t parts, count, blocks;
  int8_t* out;
  int32_t* zero_points;  // [parts]
  float* scales;         // [parts]
  float* lows;           // [parts * blocks]
  float* highs;

  size_t Begin(size_t block) const { return count * block / blocks; }
};

void FindRangeOfTask(void* context, size_t task, uint32_t) {
  const Quantization& q = *static_cast<const Quantization*>(context);
  const size_t block = task % q.blocks, begin = q.Begin(block);
  FindRange(q.x + task / q.blocks * q.count + begin, q.Begin(block + 1) - begin, q.lows + task, q.highs + task);
}

void QuantizeTask(void* context, size_t task, uint32_t) {
  const Quantization& q = *static_cast<const Quantization*>(context);
  const size_t part = task / q.blocks, block = task % q.blocks, begin = part * q.count + q.Begin(block);
  float low = 0, high = 0;
  for (size_t i = part * q.blocks; i < (part + 1) * q.blocks; ++i) {
    low = q.lows[i] < low ? q.lows[i] : low;
    high = q.highs[i] > high ? q.highs[i] : high;
  }
  const QuantizedRange range = RangeOf(low, high);
  if (block == 0) q.zero_points[part] = range.zero_point, q.scales[part] = range.scale;
  Quantize(q.x + begin, q.Begin(block + 1) - q.Begin(block), range, q.out + begin);
}

// Pixels are small: a task takes several, range and values in one go.
void QuantizePixels(void* context, size_t task, uint32_t) {
  const Quantization& q = *static_cast<const Quantization*>(context);
  const size_t pixels = kQuantizeBlock / q.count + 1, end = (task + 1) * pixels;
  for (size_t part = task * pixels; part < end && part < q.parts; ++part) {
    float low, high;
    FindRange(q.x + part * q.count, q.count, &low, &high);
    const QuantizedRange range = RangeOf(low, high);
    q.zero_points[part] = range.zero_point;
    q.scales[part] = range.scale;
    Quantize(q.x + part * q.count, q.count, range, q.out + part * q.count);
  }
}

void QuantizeAll(Quantization* q, uint32_t threads, ThreadPool* pool) {
  if (q->lows == nullptr) {
    const size_t pixels = kQuantizeBlock / q->count + 1;
    pool->Run(threads, (q->parts + pixels - 1) / pixels, QuantizePixels, q);
  } else {
    pool->Run(threads, q->parts * q->blocks, FindRangeOfTask, q);
    pool->Run(threads, q->parts * q->blocks, QuantizeTask, q);
  }
}

}  // namespace

size_t Int8Conv2DPlan::SlotBytes() const {
  if (single_) return PixelBytes();
  // Planes, planar rows, and zero point and scale of each position of a tile.
  return strips_.planes_bytes() + RoundUpToAlignment(kInt8ScratchBytes) + 2 * kInt8MaxTile * sizeof(float);
}

bool Int8Conv2DPlan::Run(const void* x, void* y, ThreadPool* pool, Workspace* workspace) const {
  const PackedWeights& w = *weights_;
  if (kernels_.kernel.run == nullptr) return ReferenceInt8Conv2D(w, channels_, shape_, x, bias_, y);
  const bool int8 = w.HasInt8Activations();
  const size_t pixels = size_t{shape_.in.batch} * shape_.in.height * shape_.in.width;
  Quantization q = {};
  q.x = static_cast<const float*>(x);
  q.parts = pointwise_ ? pixels : shape_.in.batch;
  q.count = pixels / q.parts * w.in_channels;
  q.blocks = pointwise_ ? 1 : q.count / kQuantizeBlock + 1;
  // A tile of pixels reads the ranges of all its positions.
  const size_t ranges = int8 ? 0 : RoundUpToAlignment((q.parts + kInt8MaxTile) * 4);
  const size_t blocks = int8 || pointwise_ ? 0 : RoundUpToAlignment(q.parts * q.blocks * 4);
  const size_t bytes = int8 ? 0 : RoundUpToAlignment(pixels * w.in_channels);
  const size_t slots = SlotBytes() * threads_;
  if (!workspace->floats.Reserve((slots + 2 * ranges + 2 * blocks + bytes) / sizeof(float))) return false;
  uint8_t* memory = reinterpret_cast<uint8_t*>(workspace->floats.data());
  Job job = {this, static_cast<const uint8_t*>(x), static_cast<uint8_t*>(y), memory, nullptr, nullptr};
  if (!int8) {
    memory += slots;
    q.zero_points = reinterpret_cast<int32_t*>(memory);
    q.scales = reinterpret_cast<float*>(memory + ranges);
    q.lows = pointwise_ ? nullptr : reinterpret_cast<float*>(memory + 2 * ranges);
    q.highs = q.lows + blocks / sizeof(float);
    q.out = reinterpret_cast<int8_t*>(memory + 2 * ranges + 2 * blocks);
    QuantizeAll(&q, threads_, pool);
    job.x = reinterpret_cast<const uint8_t*>(q.out);
    job.zero_points = q.zero_points;
    job.scales = q.scales;
  }
  pool->Run(
      threads_, strips_.tasks(),
      [](void* context, size_t task, uint32_t slot) {
        const Job& job = *static_cast<const Job*>(context);
        if (job.plan->single_) {
          job.plan->RunPixel(job, task, slot);
        } else {
          job.plan->RunStrip(job, task, slot);
        }
      },
      &job);
  return true;
}

// Zero point and scale of each position of float activations: of its pixel, or of the image.
void Int8Conv2DPlan::UseRanges(const Job& job, const StripTask& strip, Int8TileArgs* args) const {
  args->row_sums = channels_.row_sums.data();
  args->scales = weights_->scales;
  args->bias = static_cast<const float*>(bias_);
  args->zero_points = job.zero_points + strips_.FirstPixel(strip);
  args->position_scales = job.scales + strips_.FirstPixel(strip);
  if (pointwise_) return;
  float* scales = reinterpret_cast<float*>(args->scratch + RoundUpToAlignment(kInt8ScratchBytes));
  int32_t* zeros = reinterpret_cast<int32_t*>(scales + kInt8MaxTile);
  for (size_t p = 0; p < kInt8MaxTile; ++p)
    scales[p] = job.scales[strip.image], zeros[p] = job.zero_points[strip.image];
  args->zero_points = zeros;
  args->position_scales = scales;
}

void Int8Conv2DPlan::RunStrip(const Job& job, size_t task, uint32_t slot) const {
  const StripTask strip = strips_.TaskOf(task);
  if (strip.row_begin >= strip.row_end) return;
  uint8_t* planes = job.scratch + slot * SlotBytes();
  Int8Segment segments[kInt8MaxTile + 1];
  Int8TileArgs args = {};
  args.weights = weights_;
  args.offsets = offsets_.data();
  args.operand_begins = operand_begins_.data();
  args.starts = starts_.data();
  args.row_begin = strip.row_begin;
  args.row_end = strip.row_end;
  args.segments = segments;
  args.out_stride = weights_->out_channels;
  args.scratch = planes + strips_.planes_bytes();
  args.low = channels_.low;
  args.high = channels_.high;
  if (job.zero_points == nullptr) {
    args.factors = channels_.factors.data();
    args.zero_point = weights_->output_zero_point;
    args.rules = RoundsAsBuiltin(*weights_) ? channels_.builtin.rules.data() : nullptr;
    args.range = channels_.builtin.range;
  } else {
    UseRanges(job, strip, &args);
  }
  FillStrip(job, strip, planes);
  const size_t positions = strips_.PositionsOf(strip);
  const int32_t* zero_points = args.zero_points;
  const float* position_scales = args.position_scales;
  size_t width = 0;
  for (size_t begin = 0; begin < positions; begin += width) {
    const Int8TileFn run = kernels_.kernel.Fit(positions - begin, &width);
    args.x = planes + begin * cell_bytes_;
    args.segment_count = SegmentsOf(job, strip, begin, width, segments);
    if (pointwise_ && zero_points != nullptr) {
      args.zero_points = zero_points + begin;
      args.position_scales = position_scales + begin;
    }
    if (args.segment_count > 0) run(args);
  }
}

uint32_t Int8Conv2DPlan::SegmentsOf(const Job& job, const StripTask& strip, size_t begin, size_t width,
                                    Int8Segment* segments) const {
  const size_t value_bytes = job.zero_points == nullptr ? 1 : sizeof(float);
  const size_t pixel_bytes = size_t{weights_->out_channels} * value_bytes;
  PixelRun runs[kInt8MaxTile + 1];
  const uint32_t count = strips_.RunsOf(strip, begin, width, runs);
  for (uint32_t i = 0; i < count; ++i)
    segments[i] = {runs[i].begin, runs[i].count, job.y + runs[i].pixel * pixel_bytes};
  return count;
}

// `count` pixels into all planes of one phase.
void Int8Conv2DPlan::ToPlanar(const uint8_t* in, size_t in_stride, size_t count, uint8_t* out) const {
  const uint32_t channels = weights_->in_channels;
  if (layout_ == Int8Layout::kPlanes)
    return kernels_.to_planes(in, in_stride, count, channels, out, strips_.plane_stride());
  uint32_t* quads = reinterpret_cast<uint32_t*>(out);
  const size_t whole = channels / kDotCells;
  kernels_.to_quads(in, in_stride, count, whole, quads, strips_.plane_stride());
  if (even_quads_ > whole) {
    for (size_t p = 0; p < count; ++p) {
      uint32_t few = 0;
      memcpy(&few, in + p * in_stride + whole * kDotCells, channels % kDotCells);
      quads[whole * strips_.plane_stride() + p] = few ^ kernels_.flip * 0x01010101u;
    }
  }
  for (uint32_t remainder = 1; remainder < kDotCells; ++remainder) {
    const uint32_t begin = between_ends_[remainder - 1], n = between_ends_[remainder] - begin;
    if (n == 0) continue;
    kernels_.quads_between(quads, strips_.plane_stride(), count, remainder, between_.data() + begin, n,
                           quads + (even_quads_ + begin) * strips_.plane_stride());
  }
}

void Int8Conv2DPlan::FillStrip(const Job& job, const StripTask& strip, uint8_t* planes) const {
  if (pointwise_) {
    const uint32_t channels = weights_->in_channels;
    return ToPlanar(job.x + strips_.FirstPixel(strip) * channels, channels, strips_.PositionsOf(strip), planes);
  }
  for (uint32_t phase = 0; phase < strips_.phase_count(); ++phase) {
    for (uint32_t row = 0; row < strips_.RowsOf(strip); ++row) FillRow(job, strip, phase, row, planes);
  }
}

// One row of every plane of one phase; places outside the image hold the zero point. The order matters: ToPlanar may
// write behind the pixels, into what the padding on the right and the next row set afterwards.
void Int8Conv2DPlan::FillRow(const Job& job, const StripTask& strip, uint32_t phase, uint32_t row,
                             uint8_t* planes) const {
  const PackedWeights& w = *weights_;
  const PlaneRow from = strips_.RowOf(strip, phase, row);
  const uint32_t count = PlanesOfPhase();
  const size_t stride_bytes = strips_.plane_stride() * cell_bytes_;
  uint8_t* out = planes + strips_.PlaceOfRow(phase, row);
  const int32_t zero = job.zero_points == nullptr ? w.input_zero_point : job.zero_points[strip.image];
  const int pad = static_cast<uint8_t>(zero) ^ kernels_.flip;
  const size_t left_bytes = from.left * cell_bytes_;
  const size_t right_bytes = (strips_.plane_width() - from.right) * cell_bytes_;
  for (uint32_t p = 0; left_bytes > 0 && p < count; ++p) memset(out + p * stride_bytes, pad, left_bytes);
  if (from.right > from.left) {
    ToPlanar(job.x + from.pixel * w.in_channels, size_t{w.stride_w} * w.in_channels, from.right - from.left,
             out + left_bytes);
  }
  for (uint32_t p = 0; right_bytes > 0 && p < count; ++p)
    memset(out + p * stride_bytes + from.right * cell_bytes_, pad, right_bytes);
}

}  // namespace tfprune
