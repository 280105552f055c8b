// SPDX-License-Identifier: Apache-2.0
// How a convolution on quantised values is cut into work, and where the inputs of a piece lie: the strips, planes and
// phases of conv2d.h, for planes of any cell size. A plane belongs to one phase of the stride and holds one cell of
// `cell_bytes` for each position.
#ifndef TFPRUNE_KERNELS_CONV2D_STRIPS_H_
#define TFPRUNE_KERNELS_CONV2D_STRIPS_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/formats/packed_weights.h"
#include "tflite_ops/kernels/conv2d/conv2d.h"
#include "tflite_ops/kernels/conv2d/phases.h"

namespace tfprune {

// What the kernels want of the planes.
struct PlaneRules {
  uint32_t planes;      // of a phase
  uint32_t cell_bytes;  // of a position in a plane
  uint32_t tile;        // positions that a kernel computes at once
  uint32_t overrun;     // positions that a fill may write behind a row of a plane
  uint32_t tail_bytes;  // that may be read and written behind the last plane
};

// Output rows [first, first + rows) of one image, and a part of the output channels.
struct StripTask {
  uint32_t image, first, rows;
  uint32_t row_begin, row_end;
};

// A run of useful positions of a tile that is contiguous in the output, where it begins at pixel `pixel`.
struct PixelRun {
  uint32_t begin, count;
  size_t pixel;
};

// A row of the planes of a phase: cells [left, right) hold input pixels from `pixel` on, stride_w apart; the others lie
// outside the image.
struct PlaneRow {
  size_t pixel, left, right;
};

class StripPlan {
 public:
  // `weights` must outlive the plan.
  Status Prepare(const PackedWeights& weights, const ConvShape& shape, const PlaneRules& rules, uint32_t threads);

  // Instead: a task is one pixel of a pointwise layer and a part of its output channels. There are no planes.
  void PrepareSingle(const PackedWeights& weights, const ConvShape& shape, uint32_t threads);

  size_t tasks() const { return size_t{view_.batch} * strips_per_image_ * row_parts_; }
  StripTask TaskOf(size_t task) const;

  // Positions of a strip, and the useful runs among [begin, begin + width) of them: up to one a row of the output.
  size_t PositionsOf(const StripTask& strip) const;
  uint32_t RunsOf(const StripTask& strip, size_t begin, size_t width, PixelRun* runs) const;

  // Rows of the planes of each phase that a strip needs. Pointwise layers have none: their only phase holds
  // PositionsOf(strip) neighbouring pixels from FirstPixel(strip) on.
  uint32_t RowsOf(const StripTask& strip) const { return strip.rows + halo_rows_; }
  PlaneRow RowOf(const StripTask& strip, uint32_t phase, uint32_t row) const;
  size_t FirstPixel(const StripTask& strip) const { return size_t{strip.first} * view_.width; }
  size_t PlaceOfRow(uint32_t phase, uint32_t row) const {
    return (size_t{phase} * rules_.planes * plane_stride_ + size_t{row} * plane_width_) * rules_.cell_bytes;
  }

  // Where the cell of plane `plane` lies that the kernel position of `column` reads for position 0, in bytes.
  uint32_t PlaceOf(uint32_t column, uint32_t plane) const;

  bool pointwise() const { return pointwise_; }
  uint32_t phase_count() const { return phases_.count(); }
  size_t plane_width() const { return plane_width_; }
  size_t plane_stride() const { return plane_stride_; }  // positions
  size_t planes_bytes() const { return planes_bytes_; }

 private:
  void SplitWork(uint32_t threads);
  size_t PixelsOf(const StripTask& strip) const;

  const PackedWeights* weights_ = nullptr;
  ConvShape shape_ = {};
  PlaneRules rules_ = {};
  ImageSize view_ = {};  // the output as the plan walks it; pixels of a pointwise op become rows of one tile
  bool pointwise_ = false;
  Phases phases_;
  uint32_t strip_rows_ = 1, strips_per_image_ = 0, row_parts_ = 1;
  uint32_t halo_rows_ = 0, plane_width_ = 0;
  size_t plane_stride_ = 0, planes_bytes_ = 0;
};

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_CONV2D_STRIPS_H_
