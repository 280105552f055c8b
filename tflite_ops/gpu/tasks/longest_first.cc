// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/tasks/longest_first.h"

#include <stdlib.h>

#include "tflite_ops/base/memory.h"

namespace tfprune {
namespace {

struct Piece {
  uint32_t number;
  size_t length;
};

// A total order: the result is the same on every machine.
int Compare(const void* a, const void* b) {
  const Piece& left = *static_cast<const Piece*>(a);
  const Piece& right = *static_cast<const Piece*>(b);
  if (left.length != right.length) return left.length > right.length ? -1 : 1;
  return left.number < right.number ? -1 : 1;
}

}  // namespace

bool LongestFirst(const size_t* lengths, uint32_t count, uint32_t* positions) {
  AlignedArray<Piece> pieces;
  if (!pieces.Reserve(count)) return false;
  for (uint32_t i = 0; i < count; ++i) pieces[i] = {i, lengths[i]};
  qsort(pieces.data(), count, sizeof(Piece), Compare);
  for (uint32_t i = 0; i < count; ++i) positions[pieces[i].number] = i;
  return true;
}

}  // namespace tfprune
