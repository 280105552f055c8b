// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/benchmark/sampling.h"

#include <math.h>
#include <time.h>

namespace tfprune {
namespace {

constexpr size_t kWarmUpRuns = 3;
constexpr double kLeastSeconds = 1e-9;  // a clock that did not move

bool Sample(const Invocable& model, size_t count, Clock clock, double* seconds) {
  const double start = clock();
  for (size_t i = 0; i < count; ++i) {
    if (!model.invoke(model.self)) return false;
  }
  *seconds = fmax(kLeastSeconds, clock() - start) / static_cast<double>(count);
  return true;
}

// Runs until caches and clocks are warm; stores the least time of one inference.
bool WarmUp(const Invocable& model, double least_seconds, Clock clock, double* best) {
  *best = INFINITY;
  const double end = clock() + least_seconds;
  for (size_t done = 0; done < kWarmUpRuns || clock() < end; ++done) {
    double seconds = 0;
    if (!Sample(model, 1, clock, &seconds)) return false;
    *best = fmin(*best, seconds);
  }
  return true;
}

}  // namespace

double Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

size_t Interleave(const Invocable* models, size_t count, const Sampling& sampling, Clock clock, double* nanoseconds,
                  size_t* inferences, size_t* failed) {
  double round_seconds = 0;
  for (size_t i = 0; i < count; ++i) {
    double best = 0;
    *failed = i;
    if (!WarmUp(models[i], sampling.warm_up_seconds, clock, &best)) return 0;
    inferences[i] = static_cast<size_t>(fmax(1, round(sampling.sample_seconds / best)));
    round_seconds += fmax(sampling.sample_seconds, best);
  }
  const double fitting = fmin(round(sampling.seconds / round_seconds), kMostRounds);
  const size_t rounds = static_cast<size_t>(fmax(kFewestRounds, fitting));
  for (size_t number = 0; number < rounds; ++number) {
    for (size_t place = 0; place < count; ++place) {
      const size_t i = number % 2 == 0 ? place : count - 1 - place;
      double seconds = 0;
      *failed = i;
      if (!Sample(models[i], inferences[i], clock, &seconds)) return 0;
      nanoseconds[number * count + i] = seconds * 1e9;
    }
  }
  return rounds;
}

}  // namespace tfprune
