// SPDX-License-Identifier: Apache-2.0
// Sparse 2D convolution on NHWC tensors; a fully-connected layer is a 1x1 convolution over `batch` pixels.
//
//     y[n, oy, ox, r] = clamp(bias[r] + sum_{kh, kw, c} W[r, (kh, kw, c)]
//                             * x[n, oy * stride_h + kh * dilation_h - pad_top, ox * stride_w + kw * dilation_w -
//                             pad_left, c])
//
// with x zero outside its image. The planar plan cuts the output into strips of rows. The input of a strip is copied
// into planes, one for each channel and each phase of the stride:
//
//     plane(phase a, b; channel c)[j][i] = x[(first_row + j) * stride_h + a - pad_top][i * stride_w + b - pad_left][c]
//
//     stride 2, phase (0, 0):  x . x .      phase (0, 1):  . x . x
//                              . . . .                     . . . .
//
// so that every kernel tap of every output position p is one offset: tap (kh, kw, c) of position p lies at
// plane(kh * dilation_h % stride_h, kw * dilation_w % stride_w; c) + (kh * dilation_h / stride_h) * plane_width
// + kw * dilation_w / stride_w + p. Positions run over the padded width of the plane; those behind the output's width
// are computed and dropped. A 1x1 convolution with stride 1 has no such positions: its pixels are seen as rows of one
// tile.
#ifndef TFPRUNE_KERNELS_CONV2D_CONV2D_H_
#define TFPRUNE_KERNELS_CONV2D_CONV2D_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/arch.h"
#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/base/thread_pool.h"
#include "tflite_ops/formats/packed_weights.h"
#include "tflite_ops/kernels/conv2d/phases.h"
#include "tflite_ops/kernels/planar/planar.h"
#include "tflite_ops/kernels/planar/tiled_image.h"
#include "tflite_ops/kernels/planar_f16/planar_f16.h"

namespace tfprune {

struct ImageSize {
  uint32_t batch, height, width;
};

// Shape of the output and the zeros before the first row and column, by TFLite's rules for SAME and VALID.
struct ConvShape {
  ImageSize in, out;
  uint32_t pad_top, pad_left;
};

// Fails where the kernel does not fit a VALID input or a size overflows 31 bits.
Status InferConvShape(const PackedWeights& weights, const ImageSize& in, ConvShape* shape);

// Output channels of part `part` of `parts`: about equal numbers of groups or values, cut where a unit starts.
uint32_t PartBegin(const PackedWeights& weights, uint32_t part, uint32_t parts);

// The convolution as plain loops: the oracle of every other variant. No alignment is asked for.
void ReferenceConv2D(const PackedWeights& weights, const ConvShape& shape, const float* x, const float* bias, float* y);

// Scratch memory of one run: `threads` slots of floats, grown as needed and reused between runs.
struct Workspace {
  AlignedArray<float> floats;
};

// Pixels that the kernel for a pointwise layer of `weights` computes at once on `arch`, which is not kReference.
uint32_t PointwiseTile(const PackedWeights& weights, Arch arch);

// What a plan may be told instead of choosing by its own rules, which zeros mean. Results are the same bytes.
struct ConvChoice {
  uint32_t tile = 0;        // positions that a kernel computes at once
  uint32_t strip_rows = 0;  // rows whose planes are filled together; none of a pointwise layer
};
constexpr uint32_t kMaxConvChoices = 8;

// Where a layer's weights are: read where they lie in the file, or copied, widened or reordered when the layer was
// prepared. And what was made from the columns of the groups: where their inputs lie.
struct WeightBytes {
  size_t in_place = 0, repacked = 0, offsets = 0;
};

// Everything about one layer and one input shape that can be decided before data arrive.
class Conv2DPlan {
 public:
  // Whether Prepare with the same arguments leaves float16 weights as they are; others want ExpandHalves first.
  static bool ReadsHalves(const PackedWeights& weights, const ImageSize& in, Arch arch, Precision precision);

  // `weights` must outlive the plan. Works through `arch`, which must be supported, with up to `threads` threads. kF16
  // needs HasHalfArithmetic() and an arch with NEON; what has no kernel in float16 (blocks, single pixels) then still
  // computes in float32, and kernel_name() tells. `choice`, of kF32 only, is the plan's own or one of its Alternatives.
  // `pool` may be null; kF16 rounds float32 weights with it, once for all shapes.
  Status Prepare(const PackedWeights& weights, const ImageSize& in, Arch arch, uint32_t threads,
                 Precision precision = Precision::kF32, const ConvChoice& choice = {}, ThreadPool* pool = nullptr);

  // Choices that may be faster than what a plan prepared without one has, which is the first. None where there is
  // nothing to choose.
  uint32_t Alternatives(ConvChoice choices[kMaxConvChoices]) const;

  // Computes `y` from `x`. False where there is no memory for scratch. Plans may run concurrently with own workspaces.
  bool Run(const float* x, const float* bias, float* y, ThreadPool* pool, Workspace* workspace) const;

  // The same layer between planar layers, for one image (shape.in.batch is 1). `shape` may have more padding than the
  // weights' own rule gives: that of a PAD op before the layer. `arch` is not kReference. A pointwise layer works in
  // blocks of `block` pixels, a multiple of the lanes of `arch`, and reads channels `in_stride` floats apart: tiles of
  // both images are multiples of a block or hold the whole image, with room for whole blocks. The input of other layers
  // has whole rows in its tiles.
  // `step_rows`: how many output rows RunTiled is asked for at a time.
  Status PrepareTiled(const PackedWeights& weights, const ConvShape& shape, Arch arch, uint32_t block, size_t in_stride,
                      uint32_t step_rows, uint32_t threads);

  // Replaces the clamp of the weights' activation: that of an addition behind a pointwise layer without one, which
  // RunTiled then computes with the layer.
  void SetBounds(float low, float high) {
    low_ = low;
    high_ = high;
  }
  bool pointwise() const { return pointwise_; }

  // Output rows [first, first + rows) as tasks that may run at the same time, each with scratch of its own. `first`
  // starts a block.
  uint32_t TiledTasks(uint32_t first, uint32_t rows) const;
  void RunTiled(const TiledImage& in, const TiledImage& out, const float* bias, uint32_t first, uint32_t rows,
                uint32_t task, float* scratch, const TiledImage* addend = nullptr) const;
  size_t TiledScratchFloats() const;

  const ConvShape& shape() const { return shape_; }
  const char* kernel_name() const { return kernel_.runs[0] == nullptr ? "reference" : kernel_.name; }
  WeightBytes weight_bytes() const;

 private:
  struct Job;
  // Output rows [first, first + rows) of one image.
  struct Strip {
    uint32_t image, first, rows;
  };

  // Where a row of a plane comes from: input row y, input column i * stride_w + shift for plane column i; zeros outside
  // [left, right).
  struct PlaneRow {
    int64_t y, shift;
    size_t left, right;
  };

  void SetWeights(const PackedWeights& weights, uint32_t threads, const ConvChoice& choice);
  PlaneRow RowOf(uint32_t first, uint32_t phase, uint32_t row) const;
  void RunTiledBlock(const TiledImage& in, const TiledImage& out, const TiledImage* addend, uint32_t block,
                     TileArgs args) const;
  void RunTiledStrip(const TiledImage& in, const TiledImage& out, const Strip& strip, TileArgs args,
                     float* scratch) const;
  bool WriteInPlace(const TiledImage& out, const Strip& strip, size_t begin, uint32_t width, TileArgs* args) const;
  void FillFromTiles(const TiledImage& in, const Strip& strip, float* planes) const;
  uint32_t TiledSegments(const TiledImage& out, const Strip& strip, size_t begin, uint32_t width,
                         Segment* segments) const;
  // Rows of a strip count as one where they are contiguous in planes and output.
  bool RowsTouch() const { return column_planes_ && plane_width_ == view_.width; }
  size_t RowWidth(const Strip& strip) const { return RowsTouch() ? size_t{strip.rows} * view_.width : view_.width; }
  size_t RowCount(const Strip& strip) const { return RowsTouch() ? 1 : strip.rows; }
  Status UseHalves(const HalfKernelSet& halves, ThreadPool* pool);
  bool NeedsOffsets() const { return kernel_.tile > 1 || NeedsOffsetsOfPixel(*weights_); }
  size_t ScratchFloats() const;
  Status PreparePlanes();
  Status PrepareOffsets();
  Status PrepareParts();
  size_t PlaceOfTap(uint32_t tap) const;
  void OffsetsToSteps();
  void SplitWork(uint32_t threads);
  void SplitSteps(uint32_t step_rows);
  void FillStrip(const Job& job, const Strip& strip, char* planes) const;
  void FillRow(const Job& job, const Strip& strip, uint32_t phase, uint32_t row, char* planes) const;
  size_t PixelsOf(const Strip& strip) const;
  uint32_t SegmentsOf(const Job& job, const Strip& strip, size_t begin, uint32_t width, Segment* segments) const;
  TileArgs ArgsOf(const float* bias, uint32_t part) const;
  void RunStrip(const Job& job, size_t task, uint32_t slot) const;
  void RunPixels(const Job& job, size_t task) const;

  const PackedWeights* weights_ = nullptr;
  ConvShape shape_ = {};
  ImageSize view_ = {};  // the output as the plan walks it; pixels of a 1x1 convolution become rows of one tile
  KernelSet kernels_ = {};
  Kernel kernel_ = {};
  bool pointwise_ = false;
  bool column_planes_ = false;  // a plane for every column of the kernel, not for every phase of the stride
  uint32_t threads_ = 1;
  ConvChoice choice_;
  float low_ = 0, high_ = 0;
  AlignedArray<uint32_t> cell_offsets_;  // or steps, whatever the kernel reads
  AlignedArray<uint32_t> part_ends_;     // see TileArgs
  uint32_t part_count_ = 0;
  Phases phases_;
  uint32_t strip_rows_ = 0, strips_per_image_ = 0, row_parts_ = 1;
  uint32_t halo_rows_ = 0, plane_width_ = 0;
  size_t tiled_stride_ = 0;  // of the input of a pointwise layer between planar layers
  size_t plane_stride_ = 0, planes_floats_ = 0;
  size_t value_bytes_ = sizeof(float);     // of planes and of rows on their way out: 2 in half precision
  const uint16_t* halves_ = nullptr;       // weights of a layer in half precision: the file's, or the next
  AlignedArray<uint16_t> rounded_halves_;  // those of a file with float32 weights
  const float* rounded_from_ = nullptr;    // which
};

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_CONV2D_CONV2D_H_
