// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BENCHMARK_VALUES_H_
#define TFPRUNE_BENCHMARK_VALUES_H_

#include <stddef.h>
#include <stdint.h>

#include "tensorflow/lite/core/c/c_api_types.h"

namespace tfprune {

// Random numbers that are the same everywhere (SplitMix64).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Bits();
  double Uniform();  // in [0, 1)
  double Normal();

 private:
  uint64_t state_;
};

// Fills a tensor: normal values for float32, any number for 8 and 16 bits, which are quantised values, 0 or 1 for wider
// whole numbers, which are often indices, and for booleans. False for other types.
bool Fill(TfLiteType type, void* data, size_t bytes, Random* random);

// Stores the largest difference of two tensors of one type, by the largest magnitude of the first (1 where that is 0);
// infinite where a value is no number. False for types that are not compared.
bool RelativeError(TfLiteType type, const void* expected, const void* got, size_t bytes, double* error);

}  // namespace tfprune

#endif  // TFPRUNE_BENCHMARK_VALUES_H_
