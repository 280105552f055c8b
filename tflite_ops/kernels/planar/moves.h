// SPDX-License-Identifier: Apache-2.0
// Values moved between pixel-major and planar form, and between tiles. A part of generic.h, which includes it.

// Reads one block of up to kLanes vectors of up to kLanes floats and transposes it.
template <typename S>
inline __attribute__((always_inline)) void LoadTransposed(const float* from, size_t stride, size_t vectors,
                                                          size_t floats, typename S::Vector* v) {
  for (size_t i = 0; i < S::kLanes; ++i) v[i] = i < vectors ? S::LoadPartial(from + i * stride, floats) : S::Zero();
  S::Transpose(v);
}

// A full block: no lane is missing, nothing branches.
template <typename S>
inline __attribute__((always_inline)) void TransposeBlock(const float* from, size_t from_stride, float* to,
                                                          size_t to_stride) {
  typename S::Vector v[S::kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < S::kLanes; ++i) v[i] = S::Load(from + static_cast<size_t>(i) * from_stride);
  S::Transpose(v);
#pragma GCC unroll 16
  for (int i = 0; i < S::kLanes; ++i) S::Store(to + static_cast<size_t>(i) * to_stride, v[i]);
}

// Up to kLanes positions, channels [c, channels) of them.
template <typename S>
inline void FromPlanarPart(const float* in, size_t in_stride, size_t positions, size_t c, size_t channels, float* out,
                           size_t out_stride) {
  constexpr size_t kLanes = S::kLanes;
  const size_t full_channels = c + (channels - c) / kLanes * kLanes;
  if (positions == kLanes) {
    for (; c < full_channels; c += kLanes) TransposeBlock<S>(in + c * in_stride, in_stride, out + c, out_stride);
  }
  for (; c < channels; c += kLanes) {
    const size_t block = channels - c < kLanes ? channels - c : kLanes;
    typename S::Vector v[kLanes];
    LoadTransposed<S>(in + c * in_stride, in_stride, block, kLanes, v);
    for (size_t i = 0; i < positions; ++i) {
      if (block == kLanes) {
        S::Store(out + i * out_stride + c, v[i]);
      } else {
        S::StorePartial(out + i * out_stride + c, v[i], block);
      }
    }
  }
}

// S may have larger blocks, `S::kBlockPositions` positions by multiples of `S::kFromBlockChannels` channels (below:
// `S::kToBlockChannels`), and moves those by itself. Returns how many positions are done.
template <typename S>
inline size_t FromPlanarBlocks(const float* in, size_t in_stride, size_t count, size_t channels, float* out,
                               size_t out_stride) {
  const size_t blocks = channels / S::kFromBlockChannels, done = blocks * S::kFromBlockChannels;
  size_t p = 0;
  for (; blocks > 0 && p + S::kBlockPositions <= count; p += S::kBlockPositions) {
    S::FromPlanarBlocks(in + p, in_stride, blocks, out + p * out_stride, out_stride);
    for (size_t i = p; done < channels && i < p + S::kBlockPositions; i += S::kLanes) {
      FromPlanarPart<S>(in + i, in_stride, S::kLanes, done, channels, out + i * out_stride, out_stride);
    }
  }
  return p;
}

template <typename S>
void FromPlanar(const float* in, size_t in_stride, size_t count, size_t channels, float* out, size_t out_stride) {
  size_t p = 0;
  if constexpr (S::kBlockPositions > 0) p = FromPlanarBlocks<S>(in, in_stride, count, channels, out, out_stride);
  for (; p < count; p += S::kLanes) {
    const size_t positions = count - p < S::kLanes ? count - p : S::kLanes;
    FromPlanarPart<S>(in + p, in_stride, positions, 0, channels, out + p * out_stride, out_stride);
  }
}

template <typename S>
void CopyRun(const float* in, size_t count, float* out) {
  size_t i = 0;
  for (; i + S::kLanes <= count; i += S::kLanes) S::Store(out + i, S::Load(in + i));
  if (i < count) S::StorePartial(out + i, S::LoadPartial(in + i, count - i), count - i);
}

template <typename S>
void CopyStrided(const float* in, size_t stride, size_t count, float* out) {
  if (stride == 1) return CopyRun<S>(in, count, out);
  size_t i = 0;
  if (stride == 2) {
    // Two vectors hold the even floats of one; the last of them is behind what may be read at the end.
    for (; i + S::kLanes < count; i += S::kLanes) {
      S::Store(out + i, S::Even(S::Load(in + 2 * i), S::Load(in + 2 * i + S::kLanes)));
    }
  }
  for (; i < count; ++i) out[i] = in[i * stride];
}

// Up to kLanes positions, channels [c, channels) of them.
template <typename S>
inline void ToPlanarPart(const float* in, size_t in_stride, size_t positions, size_t c, size_t channels, float* out,
                         size_t out_stride) {
  constexpr size_t kLanes = S::kLanes;
  const size_t full_channels = c + (channels - c) / kLanes * kLanes;
  if (positions == kLanes) {
    for (; c < full_channels; c += kLanes) TransposeBlock<S>(in + c, in_stride, out + c * out_stride, out_stride);
  }
  for (; c < channels; c += kLanes) {
    const size_t block = channels - c < kLanes ? channels - c : kLanes;
    typename S::Vector v[kLanes];
    LoadTransposed<S>(in + c, in_stride, positions, block, v);
    for (size_t i = 0; i < block; ++i) S::Store(out + (c + i) * out_stride, v[i]);
  }
}

template <typename S>
inline size_t ToPlanarBlocks(const float* in, size_t in_stride, size_t count, size_t channels, float* out,
                             size_t out_stride) {
  const size_t blocks = channels / S::kToBlockChannels, done = blocks * S::kToBlockChannels;
  size_t p = 0;
  for (; blocks > 0 && p + S::kBlockPositions <= count; p += S::kBlockPositions) {
    S::ToPlanarBlocks(in + p * in_stride, in_stride, blocks, out + p, out_stride);
    for (size_t i = p; done < channels && i < p + S::kBlockPositions; i += S::kLanes) {
      ToPlanarPart<S>(in + i * in_stride, in_stride, S::kLanes, done, channels, out + i, out_stride);
    }
  }
  return p;
}

template <typename S>
void ToPlanar(const float* in, size_t in_stride, size_t count, size_t channels, float* out, size_t out_stride) {
  size_t p = 0;
  if constexpr (S::kBlockPositions > 0) p = ToPlanarBlocks<S>(in, in_stride, count, channels, out, out_stride);
  for (; p < count; p += S::kLanes) {
    const size_t positions = count - p < S::kLanes ? count - p : S::kLanes;
    ToPlanarPart<S>(in + p * in_stride, in_stride, positions, 0, channels, out + p, out_stride);
  }
}

// Hands out the rows a kernel writes, and moves them to their segments when no more fit.
template <typename S>
struct RowWriter {
  const TileArgs& a;
  uint32_t held = 0, first;  // rows waiting, and the first of them

  explicit RowWriter(const TileArgs& args) : a(args), first(args.row_begin) {}

  inline __attribute__((always_inline)) float* Next(uint32_t rows) {
    if (held + rows > a.room) Flush();
    float* place = a.rows + held * a.row_stride;
    held += rows;
    return place;
  }

  __attribute__((noinline)) void Flush() {
    for (uint32_t s = 0; s < a.segment_count; ++s) {
      const Segment& segment = a.segments[s];
      const float* from = a.rows + segment.begin;
      float* to = segment.out + first * a.channel_stride;
      if (a.position_stride == 1) {
        for (uint32_t r = 0; r < held; ++r) {
          CopyRun<S>(from + r * a.row_stride, segment.count, to + r * a.channel_stride);
        }
      } else {
        FromPlanar<S>(from, a.row_stride, segment.count, held, to, a.position_stride);
      }
    }
    first += held;
    held = 0;
  }
};

// Tile by tile, so that the tiles' channels are read one after the other.
template <typename S>
void GatherTiles(const TiledImage& image, uint32_t first, uint32_t count, uint32_t begin, uint32_t end, float* out,
                 size_t out_stride) {
  for (uint32_t p = begin, run = 0; p < end; p += run, out += run) {
    run = image.Rest(p) < end - p ? image.Rest(p) : end - p;
    const float* from = image.At(p) + first * image.stride;
    for (uint32_t c = 0; c < count; ++c, from += image.stride) {
      for (uint32_t i = 0; i < run; i += S::kLanes) S::Store(out + c * out_stride + i, S::Load(from + i));
    }
  }
}

template <typename S>
void ScatterTiles(const TiledImage& image, uint32_t first, uint32_t count, uint32_t begin, uint32_t end,
                  const float* in, size_t in_stride) {
  for (uint32_t p = begin, run = 0; p < end; p += run, in += run) {
    run = image.Rest(p) < end - p ? image.Rest(p) : end - p;
    float* to = image.At(p) + first * image.stride;
    for (uint32_t c = 0; c < count; ++c, to += image.stride) {
      for (uint32_t i = 0; i < run; i += S::kLanes) S::Store(to + i, S::Load(in + c * in_stride + i));
    }
  }
}
