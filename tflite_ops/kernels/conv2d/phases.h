// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_KERNELS_CONV2D_PHASES_H_
#define TFPRUNE_KERNELS_CONV2D_PHASES_H_

#include <stdint.h>

#include "tflite_ops/base/integers.h"
#include "tflite_ops/formats/packed_weights.h"

namespace tfprune {

// The planes that the taps of a strided window read. Taps whose rows and columns leave the same remainders by the
// stride share one. Along an axis tap i reads from i * dilation on, and remainders repeat after
// stride / gcd(stride, dilation) taps: so the first taps have every remainder once, and count the phases.
class Phases {
 public:
  Phases() = default;
  // `columns_apart`: each column of the kernel has planes of its own, whatever its remainder.
  Phases(const PackedWeights& w, bool columns_apart)
      : dilation_h_(w.dilation_h),
        dilation_w_(w.dilation_w),
        stride_h_(w.stride_h),
        stride_w_(w.stride_w),
        kernel_w_(w.kernel_w),
        rows_(Smaller(w.kernel_h, Period(w.stride_h, w.dilation_h))),
        columns_(columns_apart ? w.kernel_w : Smaller(w.kernel_w, Period(w.stride_w, w.dilation_w))),
        columns_apart_(columns_apart) {}

  uint32_t count() const { return rows_ * columns_; }

  // Row and column of the padded image that the first position of a plane reads.
  uint32_t FirstRow(uint32_t phase) const { return phase / columns_ * dilation_h_ % stride_h_; }
  uint32_t FirstColumn(uint32_t phase) const {
    const uint32_t x = phase % columns_ * dilation_w_;
    return columns_apart_ ? x : x % stride_w_;
  }

  // Which plane a tap reads, and the place there of what it reads for position 0.
  struct Place {
    uint32_t phase, row, column;
  };
  Place Of(uint32_t tap) const {
    const uint32_t row = tap / kernel_w_, column = tap % kernel_w_;
    const uint32_t phase = row % rows_ * columns_ + column % columns_;
    return {phase, row * dilation_h_ / stride_h_, columns_apart_ ? 0 : column * dilation_w_ / stride_w_};
  }

 private:
  static uint32_t Period(uint32_t stride, uint32_t dilation) {
    uint32_t divisor = stride, rest = dilation;
    while (rest != 0) {
      const uint32_t next = divisor % rest;
      divisor = rest;
      rest = next;
    }
    return stride / divisor;
  }

  uint32_t dilation_h_ = 1, dilation_w_ = 1, stride_h_ = 1, stride_w_ = 1, kernel_w_ = 1;
  uint32_t rows_ = 0, columns_ = 1;
  bool columns_apart_ = false;
};

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_CONV2D_PHASES_H_
