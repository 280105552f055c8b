// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_KERNELS_PLANAR_TILED_IMAGE_H_
#define TFPRUNE_KERNELS_PLANAR_TILED_IMAGE_H_

#include <stddef.h>
#include <stdint.h>

namespace tfprune {

// One image between planar kernels. Its pixels, row after row, are cut into tiles of `tile`; inside a tile the pixels
// of a channel are contiguous and channels are `stride` floats apart:
//
//     value of pixel p, channel c = At(p)[c * stride]
//
// Only the last `slots` tiles written are kept: tile t lies where tile t - slots lay. What lies behind a tile's pixels,
// up to its stride, is undefined. Small tiles suit 1x1 convolutions, which read them front to back; tiles of whole rows
// suit layers with a window.
struct TiledImage {
  float* data;
  uint32_t channels, tile, slots;
  size_t stride;

  float* At(uint32_t pixel) const {
    const uint32_t t = pixel / tile;
    return data + (t % slots) * (channels * stride) + (pixel - t * tile);
  }
  // Pixels from `pixel` to the end of its tile.
  uint32_t Rest(uint32_t pixel) const { return tile - pixel % tile; }
  size_t Floats() const { return slots * (channels * stride); }
};

// Lays pixels [begin, end) of `count` channels side by side: pixel p of channel first + c goes to
// out[c * out_stride + p - begin]. Up to kMaxLanes - 1 floats behind each may be overwritten.
using GatherFn = void (*)(const TiledImage& image, uint32_t first, uint32_t count, uint32_t begin, uint32_t end,
                          float* out, size_t out_stride);
// The inverse for `begin` and tiles at multiples of a vector; up to kMaxLanes - 1 floats behind are read and written.
using ScatterFn = void (*)(const TiledImage& image, uint32_t first, uint32_t count, uint32_t begin, uint32_t end,
                           const float* in, size_t in_stride);

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_PLANAR_TILED_IMAGE_H_
