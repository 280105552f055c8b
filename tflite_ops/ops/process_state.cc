// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/process_state.h"

#include <pthread.h>

namespace tfprune {
namespace {

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
SharedState* state = nullptr;  // guarded by the mutex, as is `users`
uint32_t users = 0;

}  // namespace

SharedState* EnterProcessState() {
  pthread_mutex_lock(&mutex);
  if (state == nullptr) state = SharedState::New(DetectedArch(), false, false, Precision::kF32, nullptr);
  if (state != nullptr) ++users;
  SharedState* found = state;
  pthread_mutex_unlock(&mutex);
  return found;
}

void LeaveProcessState() {
  pthread_mutex_lock(&mutex);
  if (--users == 0) {
    state->Release();
    state = nullptr;
  }
  pthread_mutex_unlock(&mutex);
}

}  // namespace tfprune
