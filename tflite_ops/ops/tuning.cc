// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/tuning.h"

#include <string.h>

#include "tflite_ops/ops/description.h"
#include "tflite_ops/ops/plain_text.h"

namespace tfprune {
namespace {

constexpr uint32_t kMaxAlternatives = 16;
constexpr uint32_t kLeastRounds = 15, kMostRounds = 100;
constexpr uint64_t kTotalNanoseconds = 60 * 1000 * 1000;  // of one op, where kLeastRounds leave it the choice
constexpr uint64_t kSampleNanoseconds = 50 * 1000;        // shorter runs are repeated
constexpr uint64_t kMostRepeats = 64;

uint64_t Sample(uint64_t repeats, bool (*run)(void*, uint32_t), void* context, uint32_t alternative,
                uint64_t (*clock)(), bool* done) {
  const uint64_t start = clock();
  for (uint64_t i = 0; i < repeats && *done; ++i) *done = run(context, alternative);
  return clock() - start;
}

}  // namespace

uint32_t FastestOf(uint32_t count, bool (*run)(void* context, uint32_t alternative), void* context,
                   uint64_t (*clock)()) {
  if (count < 2 || count > kMaxAlternatives) return 0;
  bool done = true;
  uint64_t best[kMaxAlternatives], warm = 1;
  for (uint32_t i = 0; i < count; ++i) {
    best[i] = UINT64_MAX;
    warm = Sample(1, run, context, i, clock, &done);  // the second run of the last has warm caches
  }
  uint64_t repeats = kSampleNanoseconds / (warm == 0 ? 1 : warm);
  repeats = repeats < 1 ? 1 : repeats > kMostRepeats ? kMostRepeats : repeats;
  const uint64_t start = clock();
  for (uint32_t round = 0; done && round < kMostRounds; ++round) {
    if (round >= kLeastRounds && clock() - start > kTotalNanoseconds) break;
    for (uint32_t place = 0; place < count; ++place) {
      const uint32_t i = round % 2 == 0 ? place : count - 1 - place;
      const uint64_t time = Sample(repeats, run, context, i, clock, &done);
      if (time < best[i]) best[i] = time;
    }
  }
  uint32_t fastest = 0;
  for (uint32_t i = 1; done && i < count; ++i) {
    if (best[i] < best[fastest]) fastest = i;
  }
  return best[fastest] < best[0] - best[0] / 100 * 3 ? fastest : 0;
}

Tuning::Tuning() { pthread_mutex_init(&mutex_, nullptr); }

Tuning::~Tuning() { pthread_mutex_destroy(&mutex_); }

void Tuning::Note(const Status& status) {
  if (status.ok()) return;
  pthread_mutex_lock(&mutex_);
  if (problem_.ok()) {
    problem_ = status;
    MakePlain(problem_.message);  // it quotes the path
  }
  pthread_mutex_unlock(&mutex_);
}

Status Tuning::Problem() {
  pthread_mutex_lock(&mutex_);
  const Status problem = problem_;
  pthread_mutex_unlock(&mutex_);
  return problem;
}

void Tuning::Open(const char* path) { Note(cache_.Open(path)); }

void Tuning::Choose(const TuningKey& key, const TuningTask& task, Tuned* tuned) {
  if (tuned->from != Tuned::From::kNothing && strcmp(tuned->key.text, key.text) == 0) return;
  *tuned = {};
  tuned->choice = task.choices[0];
  TuningChoice stored;
  if (cache_.Find(key, &stored)) {
    for (uint32_t i = 0; i < task.count; ++i) {
      if (memcmp(&task.choices[i], &stored, sizeof(stored)) != 0) continue;
      *tuned = {key, Tuned::From::kCache, stored};
      return;
    }
  }
  const Status ready = task.prepare(task.context);
  Note(ready);
  if (!ready.ok()) return;
  *tuned = {key, Tuned::From::kTiming, task.choices[FastestOf(task.count, task.run, task.context, Nanoseconds)]};
  Note(cache_.Store(key, tuned->choice));
}

}  // namespace tfprune
