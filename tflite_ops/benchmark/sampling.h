// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BENCHMARK_SAMPLING_H_
#define TFPRUNE_BENCHMARK_SAMPLING_H_

#include <stddef.h>

namespace tfprune {

constexpr size_t kFewestRounds = 7, kMostRounds = 101;

// How long is measured, in seconds; see kUsage.
struct Sampling {
  double seconds, sample_seconds, warm_up_seconds;
};

// Something that runs again and again, and a clock; a test has a clock of its own.
struct Invocable {
  void* self;
  bool (*invoke)(void* self);
};
using Clock = double (*)();  // seconds

// Seconds of CLOCK_MONOTONIC.
double Now();

// Times `count` models in turns, as tfprune/runtime/benchmark.py does: every model is warmed up; then each round takes
// one sample of every model, in the order given and in every other round in reverse, so that a clock that rises or
// falls meets all models alike. A sample of a fast model is the mean of several inferences.
//
// `nanoseconds` has room for kMostRounds x count; [round][model] is the time of one inference. `inferences` gets how
// many make one sample of each model. Returns the rounds done, or 0 where a model failed: its index is in `failed`.
size_t Interleave(const Invocable* models, size_t count, const Sampling& sampling, Clock clock, double* nanoseconds,
                  size_t* inferences, size_t* failed);

}  // namespace tfprune

#endif  // TFPRUNE_BENCHMARK_SAMPLING_H_
