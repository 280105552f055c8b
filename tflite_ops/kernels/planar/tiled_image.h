// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_KERNELS_PLANAR_TILED_IMAGE_H_
#define TFPRUNE_KERNELS_PLANAR_TILED_IMAGE_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

// Copies `floats`, a multiple of 16: short runs that a call of memcpy would dominate.
inline void CopyTile(const float* in, uint32_t floats, float* out) {
  for (uint32_t i = 0; i < floats; i += 16) memcpy(out + i, in + i, 16 * sizeof(float));
}

// Copies whole tiles of one channel, so that pixel p of [begin, end) lies at out[p - begin]. Up to tile - 1 floats
// before and behind are overwritten.
inline void GatherPixels(const TiledImage& image, uint32_t channel, uint32_t begin, uint32_t end, float* out) {
  const uint32_t tile = image.tile;
  float* to = out - begin % tile;
  for (uint32_t t = begin / tile; t * tile < end; ++t, to += tile) {
    CopyTile(image.Tile(t) + size_t{channel} * tile, tile, to);
  }
}

// The inverse for `begin` at the start of a tile; up to tile - 1 floats behind end - begin are read.
inline void ScatterPixels(const TiledImage& image, uint32_t channel, uint32_t begin, uint32_t end, const float* in) {
  const uint32_t tile = image.tile;
  for (uint32_t t = begin / tile; t * tile < end; ++t, in += tile) {
    CopyTile(in, tile, image.Tile(t) + size_t{channel} * tile);
  }
}

}  // namespace tfprune

#endif  // TFPRUNE_KERNELS_PLANAR_TILED_IMAGE_H_
