// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_KERNELS_PLANAR_TILED_IMAGE_H_
#define TFPRUNE_KERNELS_PLANAR_TILED_IMAGE_H_

#include <stddef.h>
#include <stdint.h>

namespace tfprune {

// One image between planar kernels. Its pixels, row after row, are cut into tiles of `tile`; a tile holds `channels`
// planar rows of `tile` floats:
//
//     value of pixel p, channel c = Tile(p / tile)[c * tile + p % tile]
//
// Only the last `slots` tiles written are kept: tile t lies where tile t - slots lay. The floats of the last tile
// behind the image are undefined. 1x1 convolutions read a tile front to back, whatever the image's size.
struct TiledImage {
  float* data;
  uint32_t channels, tile, slots;

  float* Tile(uint32_t t) const { return data + size_t{t % slots} * channels * tile; }
};

// Lays pixels [begin, end) of `count` channels side by side: pixel p of channel first + c goes to
// out[c * out_stride + p - begin]. Whole tiles are copied: up to tile - 1 floats before and behind are overwritten.
using GatherFn = void (*)(const TiledImage& image, uint32_t first, uint32_t count, uint32_t begin, uint32_t end,
                          float* out, size_t out_stride);
// The inverse for `begin` at the start of a tile; up to tile - 1 floats behind end - begin are read.
using ScatterFn = void (*)(const TiledImage& image, uint32_t first, uint32_t count, uint32_t begin, uint32_t end,
                           const float* in, size_t in_stride);

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_PLANAR_TILED_IMAGE_H_
