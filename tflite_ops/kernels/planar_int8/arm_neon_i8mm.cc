// SPDX-License-Identifier: Apache-2.0
#include <arm_neon.h>
#include <string.h>

#include <utility>

#include "tflite_ops/kernels/planar_int8/planar_int8.h"

namespace tfprune {
namespace neon_dotprod {
Int8KernelSet GetInt8Kernels(Encoding encoding, uint32_t group_rows, Int8Layout layout, uint32_t operands);
}
namespace neon_i8mm {
namespace {

#include "tflite_ops/kernels/planar_int8/arm_int8.h"
// Behind arm_int8.h.
#include "tflite_ops/kernels/planar_int8/arm_dotprod.h"
#include "tflite_ops/kernels/planar_int8/transpose.h"

using Simd = Dotprod;

#include "tflite_ops/kernels/planar_int8/generic.h"

// Sums of an even number of rows by the matrix product of Armv8.6: smmla multiplies two rows with two positions over
// eight columns, the work of two sdot. Its operands are zipped from those of the dot product: a vector of four
// positions of one operand with the same of the next. So every two operands cost one zip a vector, whatever the number
// of rows, and four rows are the fewest that gain by it.
template <int kRows, int kVectors, Int8Layout kLayout>
struct MatrixSums {
  static_assert(kRows % 4 == 0, "weights are taken by registers of four rows");
  static constexpr int kOffsets = kOffsetsOfOperand<kLayout>;
  // Rows 2 * i and 2 * i + 1 of positions 2 * j and 2 * j + 1, row by row.
  int32x4_t value[kRows / 2][2 * kVectors];

  inline __attribute__((always_inline)) void SetRow(int row, int32_t start) {
    const int32x2_t both = vdup_n_s32(start);
#pragma GCC unroll 16
    for (int j = 0; j < 2 * kVectors; ++j) {
      int32x4_t* sum = &value[row / 2][j];
      *sum = row % 2 == 0 ? vcombine_s32(both, vget_high_s32(*sum)) : vcombine_s32(vget_low_s32(*sum), both);
    }
  }

  inline __attribute__((always_inline)) void SetRows(const int32_t* starts) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows / 2; ++i) {
      const int32x4_t both = vcombine_s32(vdup_n_s32(starts[2 * i]), vdup_n_s32(starts[2 * i + 1]));
#pragma GCC unroll 16
      for (int j = 0; j < 2 * kVectors; ++j) value[i][j] = both;
    }
  }

  static inline __attribute__((always_inline)) int8x16_t ZipLowFours(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s32(vzip1q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
  }
  static inline __attribute__((always_inline)) int8x16_t ZipHighFours(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s32(vzip2q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
  }

  // Operands `a` and `b`, which are lost; their weights lie at `first` and `second` (null for zeros).
  inline __attribute__((always_inline)) void AddTwo(int8x16_t* a, const int8x16_t* b, const int8_t* first,
                                                    const int8_t* second) {
    int8x16_t weights[kRows / 2];
#pragma GCC unroll 4
    for (int four = 0; four < kRows / 4; ++four) {
      const int8x16_t one = vld1q_s8(first + 16 * four);
      const int8x16_t other = second == nullptr ? vdupq_n_s8(0) : vld1q_s8(second + 16 * four);
      weights[2 * four] = ZipLowFours(one, other);
      weights[2 * four + 1] = ZipHighFours(one, other);
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const int8x16_t low = ZipLowFours(a[v], b[v]), high = ZipHighFours(a[v], b[v]);
#pragma GCC unroll 8
      for (int i = 0; i < kRows / 2; ++i) {
        value[i][2 * v] = vmmlaq_s32(value[i][2 * v], weights[i], low);
        value[i][2 * v + 1] = vmmlaq_s32(value[i][2 * v + 1], weights[i], high);
      }
    }
  }

  template <bool kWhole>
  inline __attribute__((always_inline)) void AddOperands(const uint8_t* x, const uint32_t* offsets, size_t count,
                                                         const int8_t* weights, size_t stride) {
    if constexpr (kWhole) stride = kRows * kDotCells;
    int8x16_t a[kVectors], b[kVectors];
    for (; count >= 2; count -= 2, offsets += 2 * kOffsets, weights += 2 * stride) {
      LoadOperand<Simd, kVectors, kLayout>(x, offsets, 0, a);
      LoadOperand<Simd, kVectors, kLayout>(x, offsets, 1, b);
      AddTwo(a, b, weights, weights + stride);
    }
    if (count > 0) {
      // Zero weights take the place of the operand that is missing.
      LoadOperand<Simd, kVectors, kLayout>(x, offsets, 0, a);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) b[v] = a[v];
      AddTwo(a, b, weights, nullptr);
    }
  }

  inline __attribute__((always_inline)) void Totals(int row, int32x4_t* total) const {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const int64x2_t first = vreinterpretq_s64_s32(value[row / 2][2 * v]);
      const int64x2_t second = vreinterpretq_s64_s32(value[row / 2][2 * v + 1]);
      total[v] = vreinterpretq_s32_s64(row % 2 == 0 ? vzip1q_s64(first, second) : vzip2q_s64(first, second));
    }
  }
};

template <int kVectors, Int8Layout kLayout>
struct Int8Sums<Simd, 4, kVectors, kLayout> : MatrixSums<4, kVectors, kLayout> {};
template <int kVectors, Int8Layout kLayout>
struct Int8Sums<Simd, 8, kVectors, kLayout> : MatrixSums<8, kVectors, kLayout> {};
template <int kVectors, Int8Layout kLayout>
struct Int8Sums<Simd, 16, kVectors, kLayout> : MatrixSums<16, kVectors, kLayout> {};

// Operands of an average line from which on smmla takes fewer instructions than sdot: two operands of four rows and
// sixteen positions cost 39 instead of 43 (planes 60 instead of 66), while rows cost more to start and to finish, and a
// last operand alone costs as much as two. Sliding rows start and finish one row a line.
uint32_t FewestOperands(Encoding encoding) { return encoding == Encoding::kRowBand ? 24 : 32; }

// The kernels that gain by the matrix product, or one without `run`. One or two rows do not: what smmla saves goes into
// zips. Sums in memory (sliding rows of odd numbers) do not either.
Int8Kernel TileKernel(Encoding encoding, uint32_t group_rows, Int8Layout layout) {
  constexpr Int8Layout kQuads = Int8Layout::kQuads, kPlanes = Int8Layout::kPlanes;
  if (encoding == Encoding::kRowBand) {
    if (group_rows < 4) return {};
    if (layout == kPlanes) return Int8RowBand<Simd, 4, 4, kPlanes>(group_rows, "row_band_planes/neon_i8mm");
    return Int8RowBand<Simd, 4, 4, kQuads>(group_rows, "row_band_quads/neon_i8mm");
  }
  if (layout == kPlanes) {
    if (group_rows == 4) return Int8Sliding<Simd, 4, 4, kPlanes>("sliding_row_planes/neon_i8mm");
    return {};
  }
  if (group_rows == 4) return Int8Sliding<Simd, 4, 4, kQuads>("sliding_row_quads/neon_i8mm");
  if (group_rows == 8) return Int8Sliding<Simd, 8, 2, kQuads>("sliding_row_quads/neon_i8mm");
  if (group_rows == 16) return Int8Sliding<Simd, 16, 1, kQuads>("sliding_row_quads/neon_i8mm");
  return {};
}

}  // namespace

// Everything but these kernels, and matrix times one pixel, which reads its weights once and waits for them, is what
// the dot product runs; the name says so.
Int8KernelSet GetInt8Kernels(Encoding encoding, uint32_t group_rows, Int8Layout layout, uint32_t operands) {
  Int8KernelSet set = neon_dotprod::GetInt8Kernels(encoding, group_rows, layout, operands);
  const Int8Kernel kernel = TileKernel(encoding, group_rows, layout);
  if (kernel.run != nullptr && operands >= FewestOperands(encoding)) set.kernel = kernel;
  return set;
}

}  // namespace neon_i8mm
}  // namespace tfprune
