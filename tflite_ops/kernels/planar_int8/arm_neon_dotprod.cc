// SPDX-License-Identifier: Apache-2.0
#include <arm_neon.h>
#include <string.h>

#include <utility>

#include "tflite_ops/kernels/planar_int8/planar_int8.h"

namespace tfprune {
namespace neon_dotprod {
namespace {

#include "tflite_ops/kernels/planar_int8/arm_int8.h"
// Includes in the order of use.
#include "tflite_ops/kernels/planar_int8/arm_dotprod.h"
#include "tflite_ops/kernels/planar_int8/transpose.h"

using Simd = Dotprod;

#include "tflite_ops/kernels/planar_int8/generic.h"

// 32 registers: sixteen sums, the inputs and the weights.
Int8Kernel TileKernel(Encoding encoding, uint32_t group_rows, Int8Layout layout) {
  constexpr Int8Layout kQuads = Int8Layout::kQuads, kPlanes = Int8Layout::kPlanes;
  if (encoding == Encoding::kRowBand) {
    if (layout == kPlanes) {
      if (group_rows == 1) return Int8RowBand<Simd, 1, 4, kPlanes>(group_rows, "row_band_planes/neon_dotprod");
      if (group_rows == 2) return Int8RowBand<Simd, 2, 4, kPlanes>(group_rows, "row_band_planes/neon_dotprod");
      return Int8RowBand<Simd, 4, 4, kPlanes>(group_rows, "row_band_planes/neon_dotprod");
    }
    if (group_rows == 1) return Int8RowBand<Simd, 1, 8, kQuads>(group_rows, "row_band_quads/neon_dotprod");
    if (group_rows == 2) return Int8RowBand<Simd, 2, 8, kQuads>(group_rows, "row_band_quads/neon_dotprod");
    return Int8RowBand<Simd, 4, 4, kQuads>(group_rows, "row_band_quads/neon_dotprod");
  }
  if (layout == kPlanes) {
    if (group_rows == 1) return Int8Sliding<Simd, 1, 4, kPlanes>("sliding_row_planes/neon_dotprod");
    if (group_rows == 2) return Int8Sliding<Simd, 2, 4, kPlanes>("sliding_row_planes/neon_dotprod");
    if (group_rows == 4) return Int8Sliding<Simd, 4, 4, kPlanes>("sliding_row_planes/neon_dotprod");
    return Int8SlidingAny<Simd, 4, kPlanes>("sliding_row_any_planes/neon_dotprod");
  }
  if (group_rows == 1) return Int8Sliding<Simd, 1, 8, kQuads>("sliding_row_quads/neon_dotprod");
  if (group_rows == 2) return Int8Sliding<Simd, 2, 8, kQuads>("sliding_row_quads/neon_dotprod");
  if (group_rows == 4) return Int8Sliding<Simd, 4, 4, kQuads>("sliding_row_quads/neon_dotprod");
  if (group_rows == 8) return Int8Sliding<Simd, 8, 2, kQuads>("sliding_row_quads/neon_dotprod");
  if (group_rows == 16) return Int8Sliding<Simd, 16, 1, kQuads>("sliding_row_quads/neon_dotprod");
  return Int8SlidingAny<Simd, 4, kQuads>("sliding_row_any_quads/neon_dotprod");
}

}  // namespace

Int8KernelSet GetInt8Kernels(Encoding encoding, uint32_t group_rows, Int8Layout layout, uint32_t) {
  return Int8Set<Simd>(encoding, TileKernel(encoding, group_rows, layout));
}

}  // namespace neon_dotprod
}  // namespace tfprune
