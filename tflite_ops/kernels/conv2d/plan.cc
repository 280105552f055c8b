// SPDX-License-Identifier: Apache-2.0
// What a Conv2DPlan decides before data arrive: kernel, planes, offsets, strips.
#include <math.h>

#include "tflite_ops/base/integers.h"
#include "tflite_ops/kernels/conv2d/conv2d.h"

namespace tfprune {
namespace {

constexpr size_t kPlanesBudget = 96 * 1024;  // floats: planes of a strip should stay in a core's second-level cache
constexpr uint32_t kColumnsFarAway = 1600;   // measured with vectors of 16 floats
constexpr uint32_t kLeastStripRows = 6;      // fewer copy more halo than rows
constexpr uint64_t kLeastUseful = 7, kOfPadded = 8;  // positions of a padded row: at least so many of so many
constexpr uint64_t kCopyCost = 8;                    // multiply-adds that take as long as copying one input value
constexpr size_t kAliasingStride = 256;  // floats: planes a multiple of this apart would compete for cache sets
constexpr size_t kValuesOfTask = 16384;  // weights that one thread rounds at a time

// Float32 weights on their way to float16.
struct RoundingJob {
  const float* values;
  size_t count;
  ToHalvesFn to_halves;
  uint16_t* halves;

  void Run(ThreadPool* pool, uint32_t threads) {
    const size_t tasks = (count + kValuesOfTask - 1) / kValuesOfTask;
    const auto round = [](void* context, size_t task, uint32_t) {
      const RoundingJob& all = *static_cast<RoundingJob*>(context);
      const size_t begin = task * kValuesOfTask, rest = all.count - begin;
      all.to_halves(all.values + begin, rest < kValuesOfTask ? rest : kValuesOfTask, all.halves + begin);
    };
    if (pool != nullptr) return pool->Run(threads, tasks, round, this);
    for (size_t task = 0; task < tasks; ++task) round(this, task, 0);
  }
};

// A few rows share their loads, and a wide tile pays only where the input comes from farther away in any case.
Kernel FittingTile(Kernel kernel, const PackedWeights& w, bool far_away) {
  const bool few = w.group_rows > 2 && w.group_rows < 8 && kernel.tile > 2 * kernel.lanes;
  return few && kernel.lanes == kMaxLanes && !far_away ? kernel.Narrower() : kernel;
}

// Below an eighth of a tile most of the vector would be idle: pixels go one by one. Measured: the two meet at 5 to 12.
bool OneByOne(const PackedWeights& w, const ImageSize& out, const Kernel& many) {
  const size_t pixels = size_t{out.batch} * out.height * out.width;
  return IsPointwise(w) && (pixels <= 1 || pixels * 8 <= many.tile);
}

// Without its versions wider than `tile`; 0 keeps all.
Kernel WithTile(Kernel kernel, uint32_t tile) {
  while (tile > 0 && kernel.tile > tile && kernel.tile > kernel.lanes) kernel = kernel.Narrower();
  return kernel;
}

// Nothing but the arch "reference" runs the reference.
Status FindKernels(Arch arch, const PackedWeights& w, KernelSet* kernels) {
  *kernels = GetKernels(arch, w.encoding, w.group_rows);
  if (kernels->many.runs[0] != nullptr && kernels->single.runs[0] != nullptr) return {};
  return Error("convolution: %s has no kernel for these weights", ArchName(arch));
}

}  // namespace

uint32_t PointwiseTile(const PackedWeights& weights, Arch arch) {
  return FittingTile(GetKernels(arch, weights.encoding, weights.group_rows).many, weights, false).tile;
}

void Conv2DPlan::SetWeights(const PackedWeights& weights, uint32_t threads, const ConvChoice& choice) {
  choice_ = choice;
  weights_ = &weights;
  kernel_ = {};
  part_count_ = 0;
  tiled_stride_ = 0;
  value_bytes_ = sizeof(float);
  halves_ = nullptr;
  threads_ = threads == 0 ? 1 : Smaller(threads, kMaxThreads);
  ActivationBounds(weights.activation, &low_, &high_);
  pointwise_ = IsPointwise(weights);
}

// From here on the planes hold float16.
Status Conv2DPlan::UseHalves(const HalfKernelSet& halves, ThreadPool* pool) {
  kernel_ = halves.many;
  kernels_.to_planar = halves.to_planar;
  value_bytes_ = sizeof(uint16_t);
  halves_ = weights_->halves;
  if (halves_ != nullptr) return {};
  if (!rounded_halves_.Reserve(size_t{weights_->value_count} + 1)) {
    return Error("convolution: no memory for %u weights in float16", weights_->value_count);
  }
  if (rounded_from_ != weights_->values) {
    RoundingJob rounding = {weights_->values, weights_->value_count, halves.to_halves, rounded_halves_.data()};
    rounding.Run(pool, threads_);
    rounded_from_ = weights_->values;
  }
  halves_ = rounded_halves_.data();
  return {};
}

bool Conv2DPlan::ReadsHalves(const PackedWeights& weights, const ImageSize& in, Arch arch, Precision precision) {
  ConvShape shape = {};
  if (weights.halves == nullptr || arch == Arch::kReference || !InferConvShape(weights, in, &shape).ok()) return false;
  const KernelSet kernels = GetKernels(arch, weights.encoding, weights.group_rows);
  if (OneByOne(weights, shape.out, kernels.many)) return ReadsHalvesOfPixel(weights, kernels.half_rows);
  return precision == Precision::kF16 && GetHalfKernels(weights.encoding, weights.group_rows).many.runs[0] != nullptr;
}

Status Conv2DPlan::Prepare(const PackedWeights& weights, const ImageSize& in, Arch arch, uint32_t threads,
                           Precision precision, const ConvChoice& choice, ThreadPool* pool) {
  if (weights.values == nullptr && !ReadsHalves(weights, in, arch, precision))
    return Error("convolution: these kernels run float32 weights only");
  SetWeights(weights, threads, choice);
  TFPRUNE_RETURN_IF_ERROR(InferConvShape(weights, in, &shape_));
  view_ = shape_.out;
  const size_t pixels = size_t{view_.batch} * view_.height * view_.width;
  if (arch == Arch::kReference || pixels == 0) return {};

  TFPRUNE_RETURN_IF_ERROR(FindKernels(arch, weights, &kernels_));
  kernel_ = OneByOne(weights, view_, kernels_.many)
                ? kernels_.single
                : FittingTile(kernels_.many, weights, weights.columns() >= kColumnsFarAway);
  if (choice.tile > 0 && kernel_.tile > 1) kernel_ = WithTile(kernels_.many, choice.tile);
  if (precision == Precision::kF16 && kernel_.tile > 1) {
    const HalfKernelSet halves = GetHalfKernels(weights.encoding, weights.group_rows);
    if (halves.many.runs[0] != nullptr) TFPRUNE_RETURN_IF_ERROR(UseHalves(halves, pool));
  }
  if (pointwise_) view_ = {1, DivideUp(static_cast<uint32_t>(pixels), kernel_.tile), kernel_.tile};
  TFPRUNE_RETURN_IF_ERROR(PreparePlanes());
  return PrepareOffsets();
}

Status Conv2DPlan::PrepareTiled(const PackedWeights& weights, const ConvShape& shape, Arch arch, uint32_t block,
                                size_t in_stride, uint32_t step_rows, uint32_t threads) {
  SetWeights(weights, threads, {});
  shape_ = shape;
  if (pointwise_ && (shape.pad_top != 0 || shape.pad_left != 0 || shape.in.height != shape.out.height ||
                     shape.in.width != shape.out.width)) {
    return Error("convolution: a padded 1x1 layer does not run in tiles");
  }
  view_ = shape_.out;
  tiled_stride_ = in_stride;
  TFPRUNE_RETURN_IF_ERROR(FindKernels(arch, weights, &kernels_));
  // A block that holds the whole image reads its weights once.
  const bool whole = pointwise_ && view_.height * view_.width <= block;
  kernel_ = FittingTile(kernels_.many, weights, whole || (!pointwise_ && weights.columns() >= kColumnsFarAway));
  if (pointwise_) view_ = {1, DivideUp(view_.height * view_.width, block), block};
  TFPRUNE_RETURN_IF_ERROR(PreparePlanes());
  SplitSteps(step_rows);
  return PrepareOffsets();
}

Status Conv2DPlan::PreparePlanes() {
  const PackedWeights& w = *weights_;
  halo_rows_ = (w.kernel_h - 1) * w.dilation_h / w.stride_h;
  const uint32_t halo_columns = (w.kernel_w - 1) * w.dilation_w / w.stride_w;
  // Planes of phases are shared between columns of the kernel and as wide as the padded image: a tile computes the halo
  // too. Planes of every kernel column have no halo. What is cheaper: positions without use, or copies.
  const uint64_t copies = w.kernel_w - Smaller(w.kernel_w, w.stride_w);
  column_planes_ =
      halo_columns == 0 || uint64_t{w.value_count} * halo_columns > kCopyCost * copies * w.in_channels * view_.width;
  plane_width_ = view_.width + (column_planes_ ? 0 : halo_columns);
  // Single rows load as often as they multiply, and a vector that lies across two cache lines takes as long as two:
  // each one that is as long as a line, unless it starts where a line does.
  const uint32_t whole = DivideUp(plane_width_, kernel_.lanes) * kernel_.lanes;
  const bool pays = uint64_t{whole} * kLeastUseful <= uint64_t{plane_width_} * kOfPadded;
  const bool lines = kernel_.lanes == kMaxLanes && w.group_rows == 1 && w.kernel_h > 1;
  if (column_planes_ && lines && pays) plane_width_ = whole;
  // Both sums of two numbers below 2^31 fit 32 bits; a plane that large is refused here, before anything multiplies.
  const uint64_t smallest_plane = (uint64_t{halo_rows_} + 1) * plane_width_;
  if (smallest_plane > UINT32_MAX >> 3)
    return Error("convolution: padding makes planes of %llu values", static_cast<unsigned long long>(smallest_plane));
  phases_ = Phases(w, column_planes_);
  SplitWork(threads_);
  const size_t plane = size_t{strip_rows_ + halo_rows_} * plane_width_;
  plane_stride_ = tiled_stride_ > 0 ? tiled_stride_ : plane;
  if (!pointwise_) {
    plane_stride_ = (plane + 2 * kMaxLanes - 1) / kMaxLanes * kMaxLanes;  // room for ToPlanar to write over the end
    if (plane_stride_ % kAliasingStride == 0) plane_stride_ += kMaxLanes;
  }
  if (!CheckedMultiply(plane_stride_, w.in_channels, &planes_floats_) ||
      !CheckedMultiply(planes_floats_, phases_.count(), &planes_floats_) || planes_floats_ > (UINT32_MAX >> 3)) {
    return Error("convolution: %u channels of width %u need more scratch memory than 32-bit offsets reach",
                 w.in_channels, plane_width_);
  }
  planes_floats_ += kMaxTile;  // a tile may read behind the last position
  return {};
}

// Chooses the rows of a strip, and parts of the output channels where there are too few strips for the threads.
void Conv2DPlan::SplitWork(uint32_t threads) {
  strip_rows_ = 1;
  if (!pointwise_) {
    const size_t row_floats = size_t{plane_width_} * weights_->in_channels * phases_.count();
    const uint32_t budget_rows = static_cast<uint32_t>(kPlanesBudget / row_floats);
    const uint32_t least = Smaller(view_.height, DivideUp(2 * kernel_.tile, plane_width_) + halo_rows_);
    uint32_t rows = budget_rows > halo_rows_ + least ? budget_rows - halo_rows_ : least;
    uint32_t strips = DivideUp(view_.height, Smaller(rows, view_.height));
    if (view_.batch * strips % threads != 0) strips = DivideUp(strips, threads) * threads;
    rows = DivideUp(view_.height, strips);
    strip_rows_ = rows < least ? least : rows;
    if (choice_.strip_rows > 0) strip_rows_ = Smaller(choice_.strip_rows, view_.height);
  }
  strips_per_image_ = DivideUp(view_.height, strip_rows_);
  const uint64_t strips = uint64_t{strips_per_image_} * view_.batch;
  row_parts_ =
      strips >= threads ? 1 : Smaller(DivideUp(threads, static_cast<uint32_t>(strips)), weights_->unit_count());
}

uint32_t Conv2DPlan::Alternatives(ConvChoice choices[kMaxConvChoices]) const {
  if (kernel_.tile <= 1) return 0;  // no kernel, or one pixel at a time
  uint32_t count = 0;
  const uint32_t rows = pointwise_ ? 0 : strip_rows_;
  choices[count++] = {kernel_.tile, rows};
  for (const uint32_t tile : kernels_.many.widths) {
    if (tile > 0 && tile != kernel_.tile && count < kMaxConvChoices - 2) choices[count++] = {tile, rows};
  }
  if (rows > 1) choices[count++] = {kernel_.tile, DivideUp(rows, 2)};
  if (rows > 0 && rows < view_.height) choices[count++] = {kernel_.tile, Smaller(2 * rows, view_.height)};
  return count;
}

// Gives every thread a share of each step: strips where there are rows enough, else parts of the output channels.
void Conv2DPlan::SplitSteps(uint32_t step_rows) {
  const uint32_t tasks = pointwise_ ? DivideUp(step_rows * shape_.out.width, view_.width) : step_rows / kLeastStripRows;
  row_parts_ = tasks >= threads_ ? 1 : Smaller(DivideUp(threads_, tasks == 0 ? 1 : tasks), weights_->unit_count());
  if (pointwise_) return;
  const uint32_t strips = DivideUp(DivideUp(step_rows, strip_rows_) * row_parts_, threads_) * threads_ / row_parts_;
  strip_rows_ = Smaller(strip_rows_, DivideUp(step_rows, strips == 0 ? 1 : strips));
}

}  // namespace tfprune
