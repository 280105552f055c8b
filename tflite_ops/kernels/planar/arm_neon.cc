// SPDX-License-Identifier: Apache-2.0
#include <arm_neon.h>
#include <math.h>
#include <stddef.h>

#include "tflite_ops/kernels/planar/arm_neon_transposes.h"
#include "tflite_ops/kernels/planar/planar.h"

namespace tfprune {
namespace neon {
namespace {

struct Simd {
  using Vector = float32x4_t;
  static constexpr int kLanes = 4;
  static constexpr char kRowBandName[] = "row_band/neon";
  static constexpr char kRowBandSingleName[] = "row_band_single/neon";
  static constexpr char kSlidingName[] = "sliding_row/neon";
  static constexpr char kSlidingSingleName[] = "sliding_row_single/neon";
  static constexpr char kSlidingAnyName[] = "sliding_row_any/neon";
  static constexpr char kBlockRowsName[] = "block_rows/neon";
  static constexpr char kBlockRowsSingleName[] = "block_rows_single/neon";
  static constexpr char kBlockColumnsName[] = "block_columns/neon";
  static constexpr char kBlockColumnsSingleName[] = "block_columns_single/neon";
  // Sums of blocks: rows by vectors in registers.
  static constexpr int kMostBlockRows = 6, kBlockVectors = 4;
  static constexpr bool kWeightsByLane = true;
  static constexpr bool kLoadsInPairs = true;
  static constexpr bool kFewRowsElsewhere = true;
  static constexpr size_t kBlockPositions = 8, kToBlockChannels = 8, kFromBlockChannels = 4;
  static void ToPlanarBlocks(const float* in, size_t in_stride, size_t blocks, float* out, size_t out_stride) {
    tfprune_neon_to_planar_8(in, in_stride * sizeof(float), blocks, out, out_stride * sizeof(float));
  }
  static void FromPlanarBlocks(const float* in, size_t in_stride, size_t blocks, float* out, size_t out_stride) {
    tfprune_neon_from_planar_8(in, in_stride * sizeof(float), blocks, out, out_stride * sizeof(float));
  }
  // 32 registers: sixteen sums, the inputs and the weights.
  static constexpr int kMostBandRows = 8;
  static constexpr int VectorsFor(int rows) { return rows <= 2 ? 8 : rows == 4 ? 4 : rows == 8 ? 2 : 1; }
  static Vector Zero() { return vdupq_n_f32(0.0f); }
  static Vector Set(float value) { return vdupq_n_f32(value); }
  static Vector Load(const float* p) { return vld1q_f32(p); }
  static void Store(float* p, Vector v) { vst1q_f32(p, v); }
  static Vector Clamp(Vector v, Vector low, Vector high) { return vminq_f32(vmaxq_f32(v, low), high); }
  static Vector MultiplyAddOne(Vector acc, Vector x, float weight) { return vfmaq_n_f32(acc, x, weight); }

  static Vector Add(Vector a, Vector b) { return vaddq_f32(a, b); }
  static Vector Even(Vector a, Vector b) { return vuzp1q_f32(a, b); }
  static Vector LoadPartial(const float* p, size_t n) {
    float lanes[kLanes] = {};
    for (size_t i = 0; i < n; ++i) lanes[i] = p[i];
    return vld1q_f32(lanes);
  }

  static void StorePartial(float* p, Vector v, size_t n) {
    float lanes[kLanes];
    vst1q_f32(lanes, v);
    for (size_t i = 0; i < n; ++i) p[i] = lanes[i];
  }

  static Vector Low(Vector a, Vector b) {
    return vreinterpretq_f32_f64(vtrn1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
  }
  static Vector High(Vector a, Vector b) {
    return vreinterpretq_f32_f64(vtrn2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
  }
  static inline __attribute__((always_inline)) void Transpose(Vector* v) {
    const Vector even_top = vtrn1q_f32(v[0], v[1]), odd_top = vtrn2q_f32(v[0], v[1]);
    const Vector even_bottom = vtrn1q_f32(v[2], v[3]), odd_bottom = vtrn2q_f32(v[2], v[3]);
    v[0] = Low(even_top, even_bottom);
    v[1] = Low(odd_top, odd_bottom);
    v[2] = High(even_top, even_bottom);
    v[3] = High(odd_top, odd_bottom);
  }

  template <int kLane, int kVectors>
  static inline __attribute__((always_inline)) void AddRow(Vector (&row)[kVectors], const Vector* x, Vector weights) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) row[v] = vfmaq_laneq_f32(row[v], x[v], weights, kLane);
  }

  // Weights come four at a time into one register and multiply by lane, so a weight costs no instruction of its own.
  template <int kRows, int kVectors>
  static inline __attribute__((always_inline)) void MultiplyAdd(Vector (&acc)[kRows][kVectors], const Vector* x,
                                                                const float* weights) {
    constexpr int kQuads = kRows / 4;
#pragma GCC unroll 4
    for (int q = 0; q < kQuads; ++q) {
      const Vector four = vld1q_f32(weights + 4 * q);
      AddRow<0, kVectors>(acc[4 * q], x, four);
      AddRow<1, kVectors>(acc[4 * q + 1], x, four);
      AddRow<2, kVectors>(acc[4 * q + 2], x, four);
      AddRow<3, kVectors>(acc[4 * q + 3], x, four);
    }
#pragma GCC unroll 4
    for (int r = 4 * kQuads; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) acc[r][v] = vfmaq_n_f32(acc[r][v], x[v], weights[r]);
    }
  }
};

#include "tflite_ops/kernels/planar/generic.h"
// Behind generic.h, on which it builds.
#include "tflite_ops/kernels/planar/arm_neon_rows.h"
#include "tflite_ops/kernels/planar/block.h"

}  // namespace

KernelSet GetKernels(Encoding encoding, uint32_t group_rows) {
  if (InBlocks(encoding)) return ChooseBlockKernels<Simd>(encoding);
  KernelSet kernels = ChooseKernels<Simd>(encoding, group_rows);
  if (group_rows == 4) kernels.many = RowsKernel<4, 6>(encoding);
  if (group_rows == 2) kernels.many = RowsKernel<2, 8>(encoding);
  if (group_rows == 1) kernels.many = RowsKernel<1, 8>(encoding);
  return kernels;
}

}  // namespace neon
}  // namespace tfprune
