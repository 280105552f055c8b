// SPDX-License-Identifier: Apache-2.0
// What the ops of a delegate are, and how long they took, as text for people and tools.
#ifndef TFPRUNE_OPS_DESCRIPTION_H_
#define TFPRUNE_OPS_DESCRIPTION_H_

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

namespace tfprune {

// Appends to a buffer like snprintf: what does not fit is counted and dropped.
class Text {
 public:
  Text(char* buffer, size_t size) : buffer_(buffer), size_(size) {
    if (size > 0) buffer[0] = '\0';
  }
  __attribute__((format(printf, 2, 3))) void Add(const char* format, ...);
  size_t length() const { return length_; }

 private:
  char* buffer_;
  size_t size_, length_ = 0;
};

// An op in its delegate's list. Derived objects add a line for each layer:
//
//     op number, tab, node number in the file, tab, kernel, tab, nanoseconds in all runs, tab, runs, tab, tuning, tab,
//     bytes of weights read in place, tab, bytes of weights repacked, tab, bytes of offsets made from their columns
//
// Tuning is empty for a layer that was not tuned, else what was chosen and whence, such as "tile 32, timed". A last
// line that starts with "#" and a tab says what went wrong with the tuning cache.
//
// Layers of one chain share the op number. An addition that a convolution computes while it stores follows it as
// "add_in_convolution", without time of its own.
struct Described {
  Described() { pthread_mutex_init(&mutex, nullptr); }
  Described(const Described&) = delete;
  Described& operator=(const Described&) = delete;
  ~Described() { pthread_mutex_destroy(&mutex); }

  // Held while the op is prepared and while it is described, which may be on two threads. Runs do not take it: what
  // they change, RunTimes, is atomic.
  pthread_mutex_t mutex;
  void (*describe)(const Described* self, uint32_t op, Text* text) = nullptr;
  Described* next = nullptr;
};

// Held by each preparation of an op.
class PreparationLock {
 public:
  explicit PreparationLock(Described* op) : mutex_(&op->mutex) { pthread_mutex_lock(mutex_); }
  PreparationLock(const PreparationLock&) = delete;
  PreparationLock& operator=(const PreparationLock&) = delete;
  ~PreparationLock() { pthread_mutex_unlock(mutex_); }

 private:
  pthread_mutex_t* mutex_;
};

// How long the runs of an op took: added to by the thread that runs it, read by any.
class RunTimes {
 public:
  void Add(uint64_t nanoseconds) {
    __atomic_fetch_add(&nanoseconds_, nanoseconds, __ATOMIC_RELAXED);
    __atomic_fetch_add(&runs_, 1, __ATOMIC_RELAXED);
  }
  unsigned long long nanoseconds() const { return __atomic_load_n(&nanoseconds_, __ATOMIC_RELAXED); }
  unsigned long long runs() const { return __atomic_load_n(&runs_, __ATOMIC_RELAXED); }

 private:
  uint64_t nanoseconds_ = 0, runs_ = 0;
};

inline uint64_t Nanoseconds() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace tfprune

#endif  // TFPRUNE_OPS_DESCRIPTION_H_
