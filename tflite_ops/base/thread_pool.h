// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BASE_THREAD_POOL_H_
#define TFPRUNE_BASE_THREAD_POOL_H_

#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

namespace tfprune {

constexpr uint32_t kMaxThreads = 64;

// Worker threads that sleep between runs. Tasks run with denormals flushed to zero (denormals.h). `Run` hands out task
// numbers one at a time, so uneven tasks balance themselves; which thread computes a task never changes its result.
class ThreadPool {
 public:
  // `slot` is below the number of threads asked for and names the caller's private scratch.
  using Task = void (*)(void* context, size_t task, uint32_t slot);

  ThreadPool();
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Calls `task(context, i, slot)` once for every i < tasks on up to `threads` threads, the calling one included, and
  // returns when all are done. Where the pool is busy with another caller's run, the system gives no thread, or the
  // process is a fork of the one that started the workers, the calling thread does the work alone.
  void Run(uint32_t threads, size_t tasks, Task task, void* context);

  // Calls `member(context, i, team)` at the same time on `team` threads, i < team, the calling one with i = 0, and
  // returns when all are done. `team` is at most `threads`, and 1 where Run would work alone: members may wait for each
  // other.
  using Member = void (*)(void* context, uint32_t member, uint32_t team);
  void RunTeam(uint32_t threads, Member member, void* context);

 private:
  struct Worker {
    ThreadPool* pool;
    pthread_t thread;
    sem_t wake;
    uint32_t slot;
  };

  static void* Loop(void* worker);
  uint32_t Grow(uint32_t workers);

  pthread_mutex_t busy_;
  sem_t done_;
  Worker workers_[kMaxThreads - 1];
  uint32_t worker_count_ = 0;
  bool stop_ = false;
  pid_t owner_;  // threads do not survive a fork

  Member member_ = nullptr;
  void* context_ = nullptr;
  uint32_t team_ = 0;
};

// Returns when the atomic `counter` has reached `value`, and makes what was written before it visible. Short waits
// spin: a semaphore's way through the kernel costs as much as many layers.
void WaitUntil(const uint32_t* counter, uint32_t value);

}  // namespace tfprune

#endif  // TFPRUNE_BASE_THREAD_POOL_H_
