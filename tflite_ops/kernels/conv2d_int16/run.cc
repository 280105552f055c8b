// SPDX-License-Identifier: Apache-2.0
// An Int16Conv2DPlan at work: fill the planes of a strip, walk its tiles, and in each tile the lines.
#include <string.h>

#include "tflite_ops/kernels/conv2d_int16/conv2d_int16.h"

namespace tfprune {

struct Int16Conv2DPlan::Job {
  const Int16Conv2DPlan* plan;
  const uint8_t* x;
  uint8_t* y;
  uint8_t* scratch;  // one slot a thread
};

namespace {

constexpr uint32_t kSumRows = 32;   // rows whose sums are in work together
constexpr uint32_t kHeldRows = 64;  // rows of outputs that wait for their way to NHWC memory
static_assert(kSumRows >= kMaxSlidingRows, "sliding rows wait for their last line");

// Of a slot behind the planes, in bytes.
constexpr size_t kSumBytes = kSumRows * kInt16MaxTile * sizeof(int32_t);
constexpr size_t kWideBytes = kSumRows * kInt16MaxTile * sizeof(int64_t);
constexpr size_t kHeldBytes = (kHeldRows + 1) * kInt16MaxTile * sizeof(int16_t);

}  // namespace

// One tile of a strip. Sums and outputs have rows of `pitch` numbers.
struct Int16Conv2DPlan::Tile {
  const uint8_t* x;
  uint32_t width;  // positions that are computed: whole granules, or 1
  size_t pitch;
  int32_t* sums;  // [kSumRows][pitch]
  int64_t* wide;  // the same
  int16_t* held;  // [kHeldRows][pitch]
  uint32_t held_first, held_rows;
  const PixelRun* runs;
  uint32_t run_count;
  uint8_t* y;
};

size_t Int16Conv2DPlan::SlotBytes() const {
  const size_t planes =
      single_ ? RoundUpToAlignment(size_t{weights_->in_channels} * sizeof(int16_t)) : strips_.planes_bytes();
  return planes + kSumBytes + kWideBytes + kHeldBytes;
}

bool Int16Conv2DPlan::Run(const void* x, void* y, ThreadPool* pool, Workspace* workspace) const {
  if (kernels_.sums == nullptr) return ReferenceInt16Conv2D(*weights_, channels_, shape_, x, y);
  if (!workspace->floats.Reserve(SlotBytes() / sizeof(float) * threads_)) return false;
  Job job = {this, static_cast<const uint8_t*>(x), static_cast<uint8_t*>(y),
             reinterpret_cast<uint8_t*>(workspace->floats.data())};
  pool->Run(
      threads_, strips_.tasks(),
      [](void* context, size_t task, uint32_t slot) {
        const Job& job = *static_cast<const Job*>(context);
        job.plan->RunTask(job, task, slot);
      },
      &job);
  return true;
}

void Int16Conv2DPlan::RunTask(const Job& job, size_t task, uint32_t slot) const {
  const StripTask strip = strips_.TaskOf(task);
  if (strip.row_begin >= strip.row_end) return;
  uint8_t* planes = job.scratch + slot * SlotBytes();
  uint8_t* behind = planes + SlotBytes() - kSumBytes - kWideBytes - kHeldBytes;
  PixelRun runs[kInt16MaxTile + 1];
  Tile tile = {};
  tile.wide = reinterpret_cast<int64_t*>(behind);
  tile.sums = reinterpret_cast<int32_t*>(behind + kWideBytes);
  tile.held = reinterpret_cast<int16_t*>(behind + kWideBytes + kSumBytes);
  tile.runs = runs;
  tile.y = job.y;
  tile.pitch = single_ ? 1 : kernels_.tile;
  FillPlanes(job, strip, planes);
  const size_t positions = strips_.PositionsOf(strip);
  for (size_t begin = 0; begin < positions; begin += tile.pitch) {
    const size_t rest = positions - begin;
    const size_t granules = (rest + kernels_.granule - 1) / kernels_.granule * kernels_.granule;
    tile.width = static_cast<uint32_t>(granules < tile.pitch ? granules : tile.pitch);
    tile.x = planes + begin * sizeof(int16_t);
    tile.run_count = strips_.RunsOf(strip, begin, tile.pitch, runs);
    if (tile.run_count == 0) continue;
    tile.held_first = strip.row_begin;
    tile.held_rows = 0;
    if (weights_->encoding == Encoding::kRowBand) {
      RunBands(strip, &tile);
    } else {
      RunSlidingRows(strip, &tile);
    }
    Flush(&tile);
  }
}

void Int16Conv2DPlan::RunBands(const StripTask& strip, Tile* tile) const {
  const PackedWeights& w = *weights_;
  for (uint32_t line = strip.row_begin / w.group_rows; line < w.line_count && w.FirstRow(line) < strip.row_end;
       ++line) {
    const uint32_t first = w.FirstRow(line), all = w.RowsOfLine(line);
    for (uint32_t done = 0; done < all; done += kSumRows) {
      const uint32_t rows = all - done < kSumRows ? all - done : kSumRows;
      ClearSums(0, rows, *tile);
      AddLine(line, done, rows, *tile);
      for (uint32_t r = 0; r < rows; ++r) Finish(first + done + r, r, tile);
    }
  }
}

// Row q waits in place q % group_rows until its last line; a part begins with the lines before its first row that reach
// it.
void Int16Conv2DPlan::RunSlidingRows(const StripTask& strip, Tile* tile) const {
  const PackedWeights& w = *weights_;
  const uint32_t rows = w.group_rows;
  ClearSums(0, rows, *tile);
  for (uint32_t row = strip.row_begin >= rows - 1 ? strip.row_begin - (rows - 1) : 0; row < strip.row_end; ++row) {
    if (row < w.line_count) AddLine(row, 0, rows, *tile);
    if (row >= strip.row_begin) Finish(row, row % rows, tile);
    ClearSums(row % rows, 1, *tile);
  }
}

void Int16Conv2DPlan::ClearSums(uint32_t place, uint32_t rows, const Tile& tile) const {
  memset(tile.sums + place * tile.pitch, 0, rows * tile.pitch * sizeof(int32_t));
  if (channels_.wide) memset(tile.wide + place * tile.pitch, 0, rows * tile.pitch * sizeof(int64_t));
}

// Rows [first, first + rows) of a line, added to the sums of as many places.
void Int16Conv2DPlan::AddLine(uint32_t line, uint32_t first, uint32_t rows, const Tile& tile) const {
  const size_t stride = size_t{weights_->RowsOfLine(line)} * kPairCells;
  Int16SumArgs args = {tile.x,
                       offsets_.data() + size_t{pair_begins_[line]} * kPairCells,
                       size_t{pair_begins_[line + 1]} - pair_begins_[line],
                       wide_weights_.data() + weight_begins_[line] + size_t{first} * kPairCells,
                       stride,
                       rows,
                       tile.width,
                       tile.pitch,
                       tile.sums};
  if (channels_.wide) return AddPieces(args, tile);
  single_ ? kernels_.pixel(args) : kernels_.sums(args);
}

// In pieces whose sums fit 32 bits.
void Int16Conv2DPlan::AddPieces(Int16SumArgs args, const Tile& tile) const {
  const size_t all = args.pairs, values = args.rows * tile.pitch;
  for (size_t done = 0; done < all; done += args.pairs) {
    args.pairs = all - done < kSafePairs ? all - done : kSafePairs;
    single_ ? kernels_.pixel(args) : kernels_.sums(args);
    for (size_t i = 0; i < values; ++i) tile.wide[i] += tile.sums[i];
    memset(tile.sums, 0, values * sizeof(int32_t));
    args.offsets += args.pairs * kPairCells;
    args.weights += args.pairs * args.stride;
  }
}

// The sums at `place` are complete: they are those of output channel `row`, the next one.
void Int16Conv2DPlan::Finish(uint32_t row, uint32_t place, Tile* tile) const {
  if (tile->held_rows == kHeldRows) Flush(tile);
  if (tile->held_rows == 0) tile->held_first = row;
  const size_t first = place * tile->pitch;
  kernels_.finish({channels_.rules[row], channels_.range, channels_.wide ? nullptr : tile->sums + first,
                   channels_.wide ? tile->wide + first : nullptr, tile->width,
                   tile->held + tile->held_rows * tile->pitch});
  ++tile->held_rows;
}

// Stores the outputs that are held.
void Int16Conv2DPlan::Flush(Tile* tile) const {
  const size_t pixel_bytes = size_t{weights_->out_channels} * value_bytes_;
  for (uint32_t i = 0; i < tile->run_count; ++i) {
    const PixelRun& run = tile->runs[i];
    uint8_t* out = tile->y + run.pixel * pixel_bytes + size_t{tile->held_first} * value_bytes_;
    kernels_.store(
        {tile->held + run.begin, tile->pitch, tile->held_rows, run.count, out, pixel_bytes, value_bytes_ == 1});
  }
  tile->held_rows = 0;
}

// `count` pixels into all planes of one phase.
void Int16Conv2DPlan::FillPixels(const uint8_t* in, size_t in_stride, size_t count, uint8_t* out) const {
  const PackedWeights& w = *weights_;
  const bool int8 = w.activation_type == ActivationType::kInt8;
  const Int16FillFn fill = value_bytes_ == 2 ? kernels_.fill_int16 : int8 ? kernels_.fill_int8 : kernels_.fill_uint8;
  fill({in, in_stride, count, w.in_channels, static_cast<int16_t>(w.input_zero_point), reinterpret_cast<int16_t*>(out),
        strips_.plane_stride()});
}

void Int16Conv2DPlan::FillPlanes(const Job& job, const StripTask& strip, uint8_t* planes) const {
  const PackedWeights& w = *weights_;
  const size_t pixel_bytes = size_t{w.in_channels} * value_bytes_;
  const uint8_t* first = job.x + strips_.FirstPixel(strip) * pixel_bytes;
  if (single_) {
    int16_t* inputs = reinterpret_cast<int16_t*>(planes);
    if (value_bytes_ == 2) memcpy(inputs, first, pixel_bytes);
    for (uint32_t c = 0; value_bytes_ == 1 && c < w.in_channels; ++c)
      inputs[c] = static_cast<int16_t>(InputAt(w.activation_type, first, c) - w.input_zero_point);
    return;
  }
  if (strips_.pointwise()) return FillPixels(first, pixel_bytes, strips_.PositionsOf(strip), planes);
  const size_t stride_bytes = strips_.plane_stride() * sizeof(int16_t);
  for (uint32_t phase = 0; phase < strips_.phase_count(); ++phase) {
    for (uint32_t row = 0; row < strips_.RowsOf(strip); ++row) {
      const PlaneRow from = strips_.RowOf(strip, phase, row);
      uint8_t* out = planes + strips_.PlaceOfRow(phase, row);
      // The order matters: a fill may write behind the pixels, into what the zeros on the right and the next row set.
      for (uint32_t c = 0; from.left > 0 && c < w.in_channels; ++c)
        memset(out + c * stride_bytes, 0, from.left * sizeof(int16_t));
      if (from.right > from.left) {
        FillPixels(job.x + from.pixel * pixel_bytes, w.stride_w * pixel_bytes, from.right - from.left,
                   out + from.left * sizeof(int16_t));
      }
      const size_t right_bytes = (strips_.plane_width() - from.right) * sizeof(int16_t);
      for (uint32_t c = 0; right_bytes > 0 && c < w.in_channels; ++c)
        memset(out + c * stride_bytes + from.right * sizeof(int16_t), 0, right_bytes);
    }
  }
}

}  // namespace tfprune
