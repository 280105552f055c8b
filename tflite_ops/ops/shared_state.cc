// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/shared_state.h"

#include "tflite_ops/base/memory.h"

namespace tfprune {

SharedState::SharedState() {
  pthread_mutex_init(&mutex_, nullptr);
  pthread_mutex_init(&ops_mutex_, nullptr);
}

SharedState::~SharedState() {
  while (resting_ != nullptr) {
    Resting* next = resting_->next;
    Destroy(resting_);
    resting_ = next;
  }
  Destroy(tuning_);
  Destroy(gpu_);
  pthread_mutex_destroy(&ops_mutex_);
  pthread_mutex_destroy(&mutex_);
}

SharedState* SharedState::New(Arch arch, bool chains, bool profile, Precision precision, const char* tune_cache) {
  SharedState* state = Create<SharedState>();
  if (state == nullptr) return nullptr;
  state->arch_ = arch;
  state->chains_ = chains;
  state->profile_ = profile;
  state->precision_ = precision;
  if (tune_cache == nullptr) return state;
  state->tuning_ = Create<Tuning>();
  if (state->tuning_ == nullptr) {
    Destroy(state);
    return nullptr;
  }
  state->tuning_->Open(tune_cache);
  return state;
}

Status SharedState::OpenGpu(const GpuOptions& options) {
  gpu_ = Create<GpuState>();
  gpu_problem_ = gpu_ == nullptr ? Error("gpu: no memory") : gpu_->Open(options);
  if (gpu_problem_.ok()) return {};
  Destroy(gpu_);
  gpu_ = nullptr;
  return gpu_problem_;
}

SharedState* SharedState::Retain() {
  __atomic_fetch_add(&references_, 1, __ATOMIC_RELAXED);
  return this;
}

void SharedState::Release() {
  if (__atomic_fetch_sub(&references_, 1, __ATOMIC_ACQ_REL) == 1) Destroy(this);
}

Workspace* SharedState::Acquire() {
  pthread_mutex_lock(&mutex_);
  Resting* taken = resting_;
  if (taken != nullptr) resting_ = taken->next;
  pthread_mutex_unlock(&mutex_);
  if (taken == nullptr) taken = Create<Resting>();
  return taken == nullptr ? nullptr : &taken->workspace;
}

void SharedState::GiveBack(Workspace* workspace) {
  Resting* resting = reinterpret_cast<Resting*>(workspace);
  pthread_mutex_lock(&mutex_);
  resting->next = resting_;
  resting_ = resting;
  pthread_mutex_unlock(&mutex_);
}

void SharedState::Enter(Described* op) {
  pthread_mutex_lock(&ops_mutex_);
  Described** last = &ops_;
  while (*last != nullptr) last = &(*last)->next;
  *last = op;
  pthread_mutex_unlock(&ops_mutex_);
}

void SharedState::Leave(Described* op) {
  pthread_mutex_lock(&ops_mutex_);
  Described** place = &ops_;
  while (*place != nullptr && *place != op) place = &(*place)->next;
  if (*place != nullptr) *place = op->next;
  pthread_mutex_unlock(&ops_mutex_);
}

void SharedState::Describe(Text* text) {
  pthread_mutex_lock(&ops_mutex_);
  uint32_t number = 0;
  for (Described* op = ops_; op != nullptr; op = op->next) {
    const PreparationLock lock(op);
    op->describe(op, number++, text);
  }
  pthread_mutex_unlock(&ops_mutex_);
  const Status problem = tuning_ == nullptr ? Status{} : tuning_->Problem();
  if (!problem.ok()) text->Add("#\t%s\n", problem.message);
}

}  // namespace tfprune
