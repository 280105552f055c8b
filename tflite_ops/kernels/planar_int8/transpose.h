// SPDX-License-Identifier: Apache-2.0
// Transposes of blocks of 32-bit words and of bytes, and the copies between NHWC and planar memory built on them.
//
// Written with the compilers' vector extensions: each shuffle becomes the instruction of the set that the including
// file is compiled for. No include guard on purpose: it is included once, by one ISA file a translation unit, inside
// that file's namespace.

template <int kLanes>
struct WordVector {
  typedef uint32_t Type __attribute__((vector_size(4 * kLanes)));
  typedef uint32_t Memory __attribute__((vector_size(4 * kLanes), aligned(1), may_alias));
};
typedef int8_t Bytes16 __attribute__((vector_size(16)));
typedef int8_t Bytes16Memory __attribute__((vector_size(16), aligned(1), may_alias));

// One step of a transpose: exchanges blocks of kStep words between two rows that are kStep apart.
template <int kLanes, int kStep, int... kIndex>
inline __attribute__((always_inline)) void ExchangeBlocks(typename WordVector<kLanes>::Type* a,
                                                          typename WordVector<kLanes>::Type* b,
                                                          std::integer_sequence<int, kIndex...>) {
  const typename WordVector<kLanes>::Type first = *a, second = *b;
  *a = __builtin_shufflevector(first, second, ((kIndex & kStep) == 0 ? kIndex : kLanes + kIndex - kStep)...);
  *b = __builtin_shufflevector(first, second, ((kIndex & kStep) == 0 ? kIndex + kStep : kLanes + kIndex)...);
}

template <int kLanes, int kStep = kLanes / 2>
inline __attribute__((always_inline)) void TransposeWords(typename WordVector<kLanes>::Type* v) {
  if constexpr (kStep > 0) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      if ((i & kStep) == 0) {
        ExchangeBlocks<kLanes, kStep>(v + i, v + i + kStep, std::make_integer_sequence<int, kLanes>());
      }
    }
    TransposeWords<kLanes, kStep / 2>(v);
  }
}

inline __attribute__((always_inline)) Bytes16 ZipLow(Bytes16 a, Bytes16 b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
inline __attribute__((always_inline)) Bytes16 ZipHigh(Bytes16 a, Bytes16 b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

// 16x16 bytes by four rounds of a perfect shuffle.
inline __attribute__((always_inline)) void TransposeBytes(Bytes16* v) {
#pragma GCC unroll 4
  for (int round = 0; round < 4; ++round) {
    Bytes16 next[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      next[2 * i] = ZipLow(v[i], v[i + 8]);
      next[2 * i + 1] = ZipHigh(v[i], v[i + 8]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) v[i] = next[i];
  }
}

// Copies `bytes` < 64 in pieces of a power of two: no call, no byte outside.
inline void CopyFew(const uint8_t* from, size_t bytes, uint8_t* to) {
  size_t done = 0;
  for (; done + 16 <= bytes; done += 16) memcpy(to + done, from + done, 16);
  if (bytes & 8) memcpy(to + done, from + done, 8), done += 8;
  if (bytes & 4) memcpy(to + done, from + done, 4), done += 4;
  if (bytes & 2) memcpy(to + done, from + done, 2), done += 2;
  if (bytes & 1) to[done] = from[done];
}

// One block of up to kLanes rows of up to kLanes words, `stride` bytes apart; what is missing is zero or unspecified.
template <int kLanes>
inline __attribute__((always_inline)) void LoadWords(const uint8_t* from, size_t stride, size_t rows, size_t words,
                                                     typename WordVector<kLanes>::Type* v) {
  using Memory = typename WordVector<kLanes>::Memory;
  for (size_t i = 0; i < kLanes; ++i) {
    uint8_t few[4 * kLanes] = {};
    const uint8_t* row = from + i * stride;
    if (words < kLanes && i < rows) CopyFew(row, 4 * words, few), row = few;
    v[i] = i < rows ? *reinterpret_cast<const Memory*>(row) : typename WordVector<kLanes>::Type{};
  }
}

template <int kLanes>
void ToQuads(const uint8_t* in, size_t in_stride, size_t count, size_t quads, uint32_t* out, size_t out_stride,
             uint32_t flip) {
  using Vector = typename WordVector<kLanes>::Type;
  using Memory = typename WordVector<kLanes>::Memory;
  for (size_t p = 0; p < count; p += kLanes) {
    const size_t positions = count - p < kLanes ? count - p : kLanes;
    const uint8_t* from = in + p * in_stride;
    uint32_t* to = out + p;
    size_t q = 0;
    Vector v[kLanes];
    if (positions == kLanes) {
      for (; q + kLanes <= quads; q += kLanes, from += 4 * kLanes, to += kLanes * out_stride) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) {
          v[i] = *reinterpret_cast<const Memory*>(from + static_cast<size_t>(i) * in_stride);
        }
        TransposeWords<kLanes>(v);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) {
          *reinterpret_cast<Memory*>(to + static_cast<size_t>(i) * out_stride) = v[i] ^ flip;
        }
      }
    }
    for (; q < quads; q += kLanes, from += 4 * kLanes, to += kLanes * out_stride) {
      const size_t words = quads - q < kLanes ? quads - q : kLanes;
      LoadWords<kLanes>(from, in_stride, positions, words, v);
      TransposeWords<kLanes>(v);
      for (size_t i = 0; i < words; ++i) *reinterpret_cast<Memory*>(to + i * out_stride) = v[i] ^ flip;
    }
  }
}

// kVectors vectors of every row.
template <int kLanes, int kRemainder, int kVectors>
inline __attribute__((always_inline)) void ShiftTogether(const uint32_t* quads, size_t stride, const uint32_t* starts,
                                                         size_t n, uint32_t* out) {
  using Memory = typename WordVector<kLanes>::Memory;
  for (size_t i = 0; i < n; ++i, out += stride) {
    const Memory* first = reinterpret_cast<const Memory*>(quads + starts[i] * stride);
    const Memory* second = reinterpret_cast<const Memory*>(quads + starts[i] * stride + stride);
    typename WordVector<kLanes>::Type low[kVectors], high[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) low[v] = first[v], high[v] = second[v];
      // A sum, because NEON shifts and adds by one instruction; no bit meets another.
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) high[v] = (high[v] << (32 - 8 * kRemainder)) + (low[v] >> (8 * kRemainder));
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) reinterpret_cast<Memory*>(out)[v] = high[v];
  }
}

template <int kLanes, int kRemainder>
void QuadsAtRemainder(const uint32_t* quads, size_t stride, size_t count, const uint32_t* starts, size_t n,
                      uint32_t* out) {
  constexpr size_t kMany = 4 * kLanes;
  for (size_t p = 0; p < count;) {
    const size_t rest = count - p;
    if (rest > kLanes && kMany <= rest + kInt8MaxOverrun / 4) {
      ShiftTogether<kLanes, kRemainder, 4>(quads + p, stride, starts, n, out + p);
      p += kMany;
    } else {
      ShiftTogether<kLanes, kRemainder, 1>(quads + p, stride, starts, n, out + p);
      p += kLanes;
    }
  }
}

template <int kLanes>
void QuadsBetween(const uint32_t* quads, size_t stride, size_t count, uint32_t remainder, const uint32_t* starts,
                  size_t n, uint32_t* out) {
  if (remainder == 1) return QuadsAtRemainder<kLanes, 1>(quads, stride, count, starts, n, out);
  if (remainder == 2) return QuadsAtRemainder<kLanes, 2>(quads, stride, count, starts, n, out);
  QuadsAtRemainder<kLanes, 3>(quads, stride, count, starts, n, out);
}

inline __attribute__((always_inline)) void LoadBytes(const uint8_t* from, size_t stride, size_t rows, size_t bytes,
                                                     Bytes16* v) {
  for (size_t i = 0; i < 16; ++i) {
    uint8_t few[16] = {};
    const uint8_t* row = from + i * stride;
    if (bytes < 16 && i < rows) CopyFew(row, bytes, few), row = few;
    v[i] = i < rows ? *reinterpret_cast<const Bytes16Memory*>(row) : Bytes16{};
  }
}

// A full block: no lane is missing, nothing branches.
inline __attribute__((always_inline)) void TransposeFull(const uint8_t* from, size_t from_stride, int8_t flip,
                                                         uint8_t* to, size_t to_stride) {
  Bytes16 v[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    v[i] = *reinterpret_cast<const Bytes16Memory*>(from + static_cast<size_t>(i) * from_stride);
  }
  TransposeBytes(v);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    *reinterpret_cast<Bytes16Memory*>(to + static_cast<size_t>(i) * to_stride) = v[i] ^ flip;
  }
}

inline void ToPlanesFlipped(const uint8_t* in, size_t in_stride, size_t count, size_t channels, uint8_t* out,
                            size_t out_stride, int8_t flip) {
  for (size_t p = 0; p < count; p += 16) {
    const size_t positions = count - p < 16 ? count - p : 16;
    const uint8_t* from = in + p * in_stride;
    for (size_t c = 0; c < channels; c += 16) {
      const size_t bytes = channels - c < 16 ? channels - c : 16;
      uint8_t* to = out + c * out_stride + p;
      Bytes16 v[16];
      if (positions == 16 && bytes == 16) {
        TransposeFull(from + c, in_stride, flip, to, out_stride);
        continue;
      }
      LoadBytes(from + c, in_stride, positions, bytes, v);
      TransposeBytes(v);
      for (size_t i = 0; i < bytes; ++i) *reinterpret_cast<Bytes16Memory*>(to + i * out_stride) = v[i] ^ flip;
    }
  }
}

// Transposes `rows` planar rows of bytes to every segment's NHWC output, channels [channel, channel + rows).
// Out of line and once for all kernels of a file: a call costs nothing beside the rows that it transposes.
__attribute__((noinline, noclone)) void StoreByteRows(const Int8TileArgs& a, size_t tile, size_t channel, size_t rows) {
  for (uint32_t s = 0; s < a.segment_count; ++s) {
    const Int8Segment& segment = a.segments[s];
    for (size_t p = 0; p < segment.count; p += 16) {
      const size_t positions = segment.count - p < 16 ? segment.count - p : 16;
      const uint8_t* from = a.scratch + segment.begin + p;
      uint8_t* out = static_cast<uint8_t*>(segment.out) + p * a.out_stride + channel;
      for (size_t r = 0; r < rows; r += 16) {
        const size_t block = rows - r < 16 ? rows - r : 16;
        if (block == 16 && positions == 16) {
          TransposeFull(from + r * tile, tile, 0, out + r, a.out_stride);
          continue;
        }
        Bytes16 v[16];
        for (size_t i = 0; i < 16; ++i) {
          v[i] = i < block ? *reinterpret_cast<const Bytes16Memory*>(from + (r + i) * tile) : Bytes16{};
        }
        TransposeBytes(v);
        for (size_t i = 0; i < positions; ++i) {
          uint8_t* to = out + i * a.out_stride + r;
          if (block == 16) {
            *reinterpret_cast<Bytes16Memory*>(to) = v[i];
          } else {
            CopyFew(reinterpret_cast<const uint8_t*>(v + i), block, to);
          }
        }
      }
    }
  }
}

// The same for rows of floats.
template <int kLanes>
__attribute__((noinline, noclone)) void StoreFloatRows(const Int8TileArgs& a, size_t tile, size_t channel,
                                                       size_t rows) {
  using Vector = typename WordVector<kLanes>::Type;
  using Memory = typename WordVector<kLanes>::Memory;
  for (uint32_t s = 0; s < a.segment_count; ++s) {
    const Int8Segment& segment = a.segments[s];
    for (size_t p = 0; p < segment.count; p += kLanes) {
      const size_t positions = segment.count - p < kLanes ? segment.count - p : kLanes;
      const uint8_t* from = a.scratch + 4 * (segment.begin + p);
      uint8_t* out = static_cast<uint8_t*>(segment.out) + 4 * (p * a.out_stride + channel);
      for (size_t r = 0; r < rows; r += kLanes) {
        const size_t block = rows - r < kLanes ? rows - r : kLanes;
        Vector v[kLanes];
        LoadWords<kLanes>(from + 4 * r * tile, 4 * tile, block, kLanes, v);
        TransposeWords<kLanes>(v);
        for (size_t i = 0; i < positions; ++i) {
          uint8_t* to = out + 4 * (i * a.out_stride + r);
          if (block == kLanes) {
            *reinterpret_cast<Memory*>(to) = v[i];
          } else {
            CopyFew(reinterpret_cast<const uint8_t*>(v + i), 4 * block, to);
          }
        }
      }
    }
  }
}
