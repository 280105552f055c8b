// SPDX-License-Identifier: Apache-2.0
// Times alternatives on the machine and remembers the fastest.
#ifndef TFPRUNE_OPS_TUNING_H_
#define TFPRUNE_OPS_TUNING_H_

#include <stdint.h>

#include "tflite_ops/base/status.h"
#include "tflite_ops/ops/tuning_cache.h"

namespace tfprune {

// Runs alternatives 0 .. count - 1 in turns and returns the one with the shortest run; 0 unless another is more than 3
// % faster than it. `run` returns false where it could not run, which gives 0, too. `clock` counts nanoseconds.
uint32_t FastestOf(uint32_t count, bool (*run)(void* context, uint32_t alternative), void* context,
                   uint64_t (*clock)());

// What tuning did for one op.
struct Tuned {
  enum class From : uint8_t { kNothing, kTiming, kCache };
  TuningKey key;  // of the choice
  From from = From::kNothing;
  TuningChoice choice;
};

// What is tuned: alternatives for one key.
struct TuningTask {
  const TuningChoice* choices;  // 0 is what runs without tuning
  uint32_t count;
  bool (*run)(void* context, uint32_t alternative);
  void* context;
  // Called once before the first run; an error, and nothing is timed.
  Status (*prepare)(void* context);
};

// The cache of one delegate and what went wrong with it.
class Tuning {
 public:
  Tuning();
  ~Tuning();

  void Open(const char* path);
  // Looks `key` up, or times the alternatives and stores the fastest; the result is always one of them. A key that
  // `tuned` has already keeps its choice.
  void Choose(const TuningKey& key, const TuningTask& task, Tuned* tuned);
  // The first problem, ok without one.
  Status Problem();

 private:
  void Note(const Status& status);

  TuningCache cache_;
  Status problem_;  // guarded by mutex_
  pthread_mutex_t mutex_;
};

}  // namespace tfprune

#endif  // TFPRUNE_OPS_TUNING_H_
