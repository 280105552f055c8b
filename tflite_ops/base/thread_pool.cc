// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/base/thread_pool.h"

#include <sched.h>
#include <unistd.h>

#include "tflite_ops/base/denormals.h"

namespace tfprune {
namespace {

// sem_wait returns early when a signal handler ran; only a taken semaphore counts.
void Wait(sem_t* semaphore) {
  while (sem_wait(semaphore) != 0) {
  }
}

constexpr int kSpins = 1000;  // some tens of microseconds

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// The tasks of one Run, taken by number.
struct Shared {
  ThreadPool::Task task;
  void* context;
  size_t tasks;
  size_t next;  // atomic
};

void TakeTasks(void* context, uint32_t member, uint32_t) {
  Shared* shared = static_cast<Shared*>(context);
  for (;;) {
    const size_t task = __atomic_fetch_add(&shared->next, 1, __ATOMIC_RELAXED);
    if (task >= shared->tasks) return;
    shared->task(shared->context, task, member);
  }
}

}  // namespace

ThreadPool::ThreadPool() : owner_(getpid()) {
  pthread_mutex_init(&busy_, nullptr);
  sem_init(&done_, 0, 0);
}

ThreadPool::~ThreadPool() {
  if (getpid() != owner_) return;  // no worker to stop, and none that would ever be joined
  stop_ = true;
  for (uint32_t i = 0; i < worker_count_; ++i) sem_post(&workers_[i].wake);
  for (uint32_t i = 0; i < worker_count_; ++i) {
    pthread_join(workers_[i].thread, nullptr);
    sem_destroy(&workers_[i].wake);
  }
  sem_destroy(&done_);
  pthread_mutex_destroy(&busy_);
}

void* ThreadPool::Loop(void* argument) {
  Worker* worker = static_cast<Worker*>(argument);
  for (;;) {
    Wait(&worker->wake);
    if (worker->pool->stop_) return nullptr;
    ThreadPool* pool = worker->pool;
    const FlushDenormals flush;
    pool->member_(pool->context_, worker->slot, pool->team_);
    sem_post(&pool->done_);
  }
}

uint32_t ThreadPool::Grow(uint32_t workers) {
  while (worker_count_ < workers) {
    Worker* worker = &workers_[worker_count_];
    worker->pool = this;
    worker->slot = worker_count_ + 1;
    sem_init(&worker->wake, 0, 0);
    if (pthread_create(&worker->thread, nullptr, Loop, worker) != 0) {
      sem_destroy(&worker->wake);
      break;
    }
    ++worker_count_;
  }
  return worker_count_ < workers ? worker_count_ : workers;
}

void ThreadPool::Run(uint32_t threads, size_t tasks, Task task, void* context) {
  Shared shared = {task, context, tasks, 0};
  RunTeam(threads < tasks ? threads : static_cast<uint32_t>(tasks), TakeTasks, &shared);
}

void ThreadPool::RunTeam(uint32_t threads, Member member, void* context) {
  const FlushDenormals flush;
  if (threads > kMaxThreads) threads = kMaxThreads;
  if (threads <= 1 || getpid() != owner_ || pthread_mutex_trylock(&busy_) != 0) return member(context, 0, 1);
  const uint32_t workers = Grow(threads - 1);
  member_ = member;
  context_ = context;
  team_ = workers + 1;
  for (uint32_t i = 0; i < workers; ++i) sem_post(&workers_[i].wake);  // publishes the fields above
  member(context, 0, team_);
  for (uint32_t i = 0; i < workers; ++i) Wait(&done_);
  pthread_mutex_unlock(&busy_);
}

void WaitUntil(const uint32_t* counter, uint32_t value) {
  for (int spins = 0; __atomic_load_n(counter, __ATOMIC_ACQUIRE) != value; ++spins) {
    if (spins < kSpins) {
      Pause();
    } else {
      sched_yield();
    }
  }
}

}  // namespace tfprune
