// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_TESTING_GUARDED_PACKED_H_
#define TFPRUNE_TESTING_GUARDED_PACKED_H_

#include <stdint.h>

#include <memory>
#include <vector>

#include "tflite_ops/formats/packed_weights.h"
#include "tflite_ops/testing/guarded.h"

namespace tfprune {

// Packed weights whose values and steps each end right before an unmapped page, whatever follows them in the tensor.
struct GuardedPacked {
  explicit GuardedPacked(const std::vector<uint8_t>& bytes) : tensor(bytes) {
    status = ReadPackedWeights(tensor.data(), tensor.size(), &weights);
    if (!status.ok()) return;
    PackedWeights& w = weights;
    size_t integers = w.value_count;
    if (w.filled) {
      integers = 0;
      for (uint32_t line = 0; line < w.line_count; ++line) integers += w.DotCellsOfLine(line) * w.RowsOfLine(line);
    }
    Move(&w.values, w.value_count, &values);
    Move(&w.halves, w.value_count, &values);
    Move(&w.bytes, integers, &values);
    Move(&w.unsigned_bytes, integers, &values);
    Move(&w.steps8, w.group_count, &steps);
    Move(&w.steps16, w.group_count, &steps);
  }

  Guarded<uint8_t> tensor;
  PackedWeights weights;
  Status status;
  std::unique_ptr<Guarded<uint8_t>> values, steps;

 private:
  template <typename T>
  void Move(const T** from, size_t count, std::unique_ptr<Guarded<uint8_t>>* to) {
    if (*from == nullptr) return;
    to->reset(new Guarded<uint8_t>(count * sizeof(T)));
    if (count > 0) memcpy((*to)->data(), *from, count * sizeof(T));
    *from = reinterpret_cast<const T*>((*to)->data());
  }
};

}  // namespace tfprune

#endif  // TFPRUNE_TESTING_GUARDED_PACKED_H_
