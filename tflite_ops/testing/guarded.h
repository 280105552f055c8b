// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_TESTING_GUARDED_H_
#define TFPRUNE_TESTING_GUARDED_H_

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

namespace tfprune {

// An array that ends right before an unmapped page, so that one read or write too far is a crash and not luck.
template <typename T>
class Guarded {
 public:
  explicit Guarded(size_t count) : count_(count) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    bytes_ = (count * sizeof(T) + page - 1) / page * page + page;
    base_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_ + bytes_ - page, page, PROT_NONE);
    data_ = reinterpret_cast<T*>(base_ + bytes_ - page - count * sizeof(T));
  }
  explicit Guarded(const std::vector<T>& values) : Guarded(values.size()) {
    if (!values.empty()) memcpy(data_, values.data(), values.size() * sizeof(T));
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(base_, bytes_); }

  T* data() { return data_; }
  size_t size() const { return count_; }
  T& operator[](size_t i) { return data_[i]; }

 private:
  size_t count_, bytes_;
  char* base_;
  T* data_;
};

}  // namespace tfprune

#endif  // TFPRUNE_TESTING_GUARDED_H_
