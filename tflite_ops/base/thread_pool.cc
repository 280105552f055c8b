// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/base/thread_pool.h"

#include <unistd.h>

namespace tfprune {
namespace {

// sem_wait returns early when a signal handler ran; only a taken semaphore counts.
void Wait(sem_t* semaphore) {
  while (sem_wait(semaphore) != 0) {
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
    worker->pool->Work(worker->slot);
    sem_post(&worker->pool->done_);
  }
}

void ThreadPool::Work(uint32_t slot) {
  for (;;) {
    const size_t task = __atomic_fetch_add(&next_, 1, __ATOMIC_RELAXED);
    if (task >= tasks_) return;
    task_(context_, task, slot);
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
  if (threads > kMaxThreads) threads = kMaxThreads;
  if (threads > tasks) threads = static_cast<uint32_t>(tasks);
  if (threads <= 1 || getpid() != owner_ || pthread_mutex_trylock(&busy_) != 0) {
    for (size_t i = 0; i < tasks; ++i) task(context, i, 0);
    return;
  }
  const uint32_t workers = Grow(threads - 1);
  task_ = task;
  context_ = context;
  tasks_ = tasks;
  next_ = 0;
  for (uint32_t i = 0; i < workers; ++i) sem_post(&workers_[i].wake);  // publishes the fields above
  Work(0);
  for (uint32_t i = 0; i < workers; ++i) Wait(&done_);
  pthread_mutex_unlock(&busy_);
}

}  // namespace tfprune
