// SPDX-License-Identifier: Apache-2.0
// Copies between NHWC and planar memory, built on transposes of blocks of 8 x 8 numbers of 16 bits. Written with the
// compilers' vector extensions: each shuffle becomes the instruction of the set that the including file is compiled
// for.
//
// No include guard on purpose: generic.h includes it once, inside the namespace of an ISA file.

typedef int16_t Words8 __attribute__((vector_size(16)));

inline __attribute__((always_inline)) Words8 LoadWords(const void* from) {
  Words8 words;
  memcpy(&words, from, sizeof(words));
  return words;
}

inline __attribute__((always_inline)) void StoreWords(void* to, Words8 words) { memcpy(to, &words, sizeof(words)); }

// Three rounds of a perfect shuffle.
inline __attribute__((always_inline)) void TransposeWords(Words8* v) {
#pragma GCC unroll 3
  for (int round = 0; round < 3; ++round) {
    Words8 next[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      next[2 * i] = __builtin_shufflevector(v[i], v[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      next[2 * i + 1] = __builtin_shufflevector(v[i], v[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) v[i] = next[i];
  }
}

// Eight numbers of type T as 16-bit ones.
template <typename T>
inline __attribute__((always_inline)) Words8 Widened(const uint8_t* from) {
  if constexpr (sizeof(T) == sizeof(int16_t)) {
    return LoadWords(from);
  } else {
    typedef T Bytes8 __attribute__((vector_size(8)));
    Bytes8 bytes;
    memcpy(&bytes, from, sizeof(bytes));
    return __builtin_convertvector(bytes, Words8);
  }
}

template <typename T>
inline Words8 WidenedFew(const uint8_t* from, size_t count) {
  uint8_t few[8 * sizeof(T)] = {};
  for (size_t i = 0; i < count * sizeof(T); ++i) few[i] = from[i];
  return Widened<T>(few);
}

// Blocks of 8 pixels by 8 channels; what is missing at the edges is zero.
template <typename T>
inline __attribute__((always_inline)) void Fill(const Int16FillArgs& a) {
  for (size_t p = 0; p < a.count; p += 8) {
    const size_t pixels = a.count - p < 8 ? a.count - p : 8;
    const uint8_t* from = a.in + p * a.in_stride;
    for (size_t c = 0; c < a.channels; c += 8, from += 8 * sizeof(T)) {
      const size_t channels = a.channels - c < 8 ? a.channels - c : 8;
      int16_t* to = a.out + c * a.pitch + p;
      Words8 v[8] = {};
      if (pixels == 8 && channels == 8) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) v[i] = Widened<T>(from + static_cast<size_t>(i) * a.in_stride);
        TransposeWords(v);
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) StoreWords(to + static_cast<size_t>(i) * a.pitch, v[i] - a.zero_point);
        continue;
      }
      for (size_t i = 0; i < pixels; ++i) {
        const uint8_t* pixel = from + i * a.in_stride;
        v[i] = channels == 8 ? Widened<T>(pixel) : WidenedFew<T>(pixel, channels);
      }
      TransposeWords(v);
      for (size_t i = 0; i < channels; ++i) StoreWords(to + i * a.pitch, v[i] - a.zero_point);
    }
  }
}

void FillInt16(const Int16FillArgs& a) { Fill<int16_t>(a); }

template <typename T>
void FillBytes(const Int16FillArgs& a) {
  Fill<T>(a);
}

// Eight outputs, or the first `count` of them.
template <bool kBytes>
inline __attribute__((always_inline)) void StoreFew(uint8_t* to, Words8 values, size_t count) {
  typedef uint8_t Bytes8 __attribute__((vector_size(8)));
  if constexpr (kBytes) {
    const Bytes8 bytes = __builtin_convertvector(values, Bytes8);
    if (count == 8) {
      memcpy(to, &bytes, 8);
    } else {
      for (size_t i = 0; i < count; ++i) to[i] = bytes[i];
    }
  } else if (count == 8) {
    StoreWords(to, values);
  } else {
    for (size_t i = 0; i < count; ++i) {
      const int16_t value = values[i];
      memcpy(to + 2 * i, &value, sizeof(value));
    }
  }
}

template <bool kBytes>
inline __attribute__((always_inline)) void Store(const Int16StoreArgs& a) {
  constexpr size_t kBytesOfValue = kBytes ? 1 : 2;
  for (size_t p = 0; p < a.count; p += 8) {
    const size_t positions = a.count - p < 8 ? a.count - p : 8;
    uint8_t* out = a.out + p * a.out_stride;
    for (size_t r = 0; r < a.rows; r += 8, out += 8 * kBytesOfValue) {
      const size_t rows = a.rows - r < 8 ? a.rows - r : 8;
      Words8 v[8] = {};
      for (size_t i = 0; i < rows; ++i) v[i] = LoadWords(a.from + (r + i) * a.pitch + p);
      TransposeWords(v);
      for (size_t i = 0; i < positions; ++i) StoreFew<kBytes>(out + i * a.out_stride, v[i], rows);
    }
  }
}

void StoreRows(const Int16StoreArgs& a) {
  if (a.bytes) {
    Store<true>(a);
  } else {
    Store<false>(a);
  }
}
