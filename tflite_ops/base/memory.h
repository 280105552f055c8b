// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BASE_MEMORY_H_
#define TFPRUNE_BASE_MEMORY_H_

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <new>

namespace tfprune {

constexpr size_t kAlignment = 64;

// The next multiple of kAlignment.
constexpr size_t RoundUpToAlignment(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Stores `a * b` in `product`; false where it does not fit.
inline bool CheckedMultiply(size_t a, size_t b, size_t* product) { return !__builtin_mul_overflow(a, b, product); }

// A growing, 64-byte aligned array of plain values. Contents are zero after the first allocation and unspecified after
// a growth. Only the C allocator is used, so that the library needs no C++ runtime.
template <typename T>
class AlignedArray {
 public:
  AlignedArray() = default;
  AlignedArray(const AlignedArray&) = delete;
  AlignedArray& operator=(const AlignedArray&) = delete;
  ~AlignedArray() { free(data_); }

  // Makes room for `count` values. Returns false, and keeps the old room, where memory is short.
  bool Reserve(size_t count) {
    if (count <= capacity_) return true;
    size_t bytes = 0;
    void* fresh = nullptr;
    if (!CheckedMultiply(count, sizeof(T), &bytes) || posix_memalign(&fresh, kAlignment, bytes) != 0) return false;
    memset(fresh, 0, bytes);
    free(data_);
    data_ = static_cast<T*>(fresh);
    capacity_ = count;
    return true;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t capacity() const { return capacity_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
  size_t capacity_ = 0;
};

// `new` and `delete` for the C allocator. Returns nullptr where memory is short.
template <typename T>
T* Create() {
  void* place = nullptr;
  if (posix_memalign(&place, kAlignment, sizeof(T)) != 0) return nullptr;
  return ::new (place) T();
}

template <typename T>
void Destroy(T* object) {
  if (object == nullptr) return;
  object->~T();
  free(object);
}

}  // namespace tfprune

#endif  // TFPRUNE_BASE_MEMORY_H_
