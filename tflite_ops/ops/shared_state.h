// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_OPS_SHARED_STATE_H_
#define TFPRUNE_OPS_SHARED_STATE_H_

#include <pthread.h>
#include <stdint.h>

#include "tflite_ops/base/arch.h"
#include "tflite_ops/base/thread_pool.h"
#include "tflite_ops/kernels/conv2d/conv2d.h"
#include "tflite_ops/ops/description.h"
#include "tflite_ops/ops/gpu_state.h"
#include "tflite_ops/ops/placement.h"
#include "tflite_ops/ops/tuning.h"

namespace tfprune {

// What the ops of one delegate share: the arch, the threads and the scratch memory. Counted, because an interpreter may
// destroy the delegate before it frees the ops.
class SharedState {
 public:
  // Starts with one reference, the creator's.
  // `tune_cache`: path of the tuning cache, null where nothing is tuned.
  static SharedState* New(Arch arch, bool chains, bool profile, Precision precision, const char* tune_cache);

  // Call once, before the state is shared. On an error, which gpu_problem() keeps, there is no GPU.
  Status OpenGpu(const GpuOptions& options);
  const Status& gpu_problem() const { return gpu_problem_; }

  SharedState* Retain();
  void Release();

  Arch arch() const { return arch_; }
  bool chains() const { return chains_; }
  Precision precision() const { return precision_; }
  bool profile() const { return profile_; }
  Tuning* tuning() { return tuning_; }  // null where nothing is tuned
  ThreadPool* pool() { return &pool_; }
  GpuState* gpu() { return gpu_; }  // null where everything runs on the CPU
  Placement* placement() { return &placement_; }

  // How many threads an op uses: as many as the delegate was told, or else the interpreter recommends.
  void set_threads(uint32_t threads) { threads_ = threads; }
  uint32_t Threads(int recommended) const {
    if (threads_ > 0) return threads_;
    return recommended > 0 ? static_cast<uint32_t>(recommended) : 1;
  }

  // Scratch for one run: taken from those at rest, so that interpreters on several threads never share one. Null where
  // memory is short.
  Workspace* Acquire();
  void GiveBack(Workspace* workspace);

  // Ops enter the list when they are made and leave it before they go.
  void Enter(Described* op);
  void Leave(Described* op);
  void Describe(Text* text);

  SharedState();
  ~SharedState();

 private:
  struct Resting {
    Workspace workspace;  // first, so that a Workspace's address is its Resting's
    Resting* next = nullptr;
  };

  uint32_t references_ = 1;  // atomic
  Arch arch_ = Arch::kReference;
  bool chains_ = false, profile_ = false;
  Tuning* tuning_ = nullptr;
  Precision precision_ = Precision::kF32;
  uint32_t threads_ = 0;  // 0: the interpreter's
  GpuState* gpu_ = nullptr;
  Status gpu_problem_;
  Placement placement_;
  ThreadPool pool_;
  pthread_mutex_t mutex_;
  Resting* resting_ = nullptr;  // guarded by mutex_
  // Taken before an op's own. Not mutex_: runs would wait for scratch while a description waits for a preparation.
  pthread_mutex_t ops_mutex_;
  Described* ops_ = nullptr;  // guarded by ops_mutex_
};

}  // namespace tfprune

#endif  // TFPRUNE_OPS_SHARED_STATE_H_
