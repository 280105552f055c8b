// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/graph/arena.h"

#include <stdlib.h>

#include "tflite_ops/base/memory.h"

namespace tfprune {
namespace {

struct Place {
  uint32_t tensor, first, last;
  size_t bytes, offset;
};

int BySize(const void* a, const void* b) {
  const Place& left = *static_cast<const Place*>(a);
  const Place& right = *static_cast<const Place*>(b);
  if (left.bytes != right.bytes) return left.bytes > right.bytes ? -1 : 1;
  if (left.first != right.first) return left.first < right.first ? -1 : 1;
  return left.tensor < right.tensor ? -1 : 1;
}

// The start of the tightest gap for `place` between the `placed` tensors that it meets, which are sorted by offset.
size_t TightestGap(const Place* placed, uint32_t count, const Place& place) {
  size_t end = 0, best = 0, best_gap = SIZE_MAX;
  for (uint32_t i = 0; i < count; ++i) {
    const Place& other = placed[i];
    if (other.first > place.last || place.first > other.last) continue;
    if (other.offset >= end) {
      const size_t gap = other.offset - end;
      if (gap >= place.bytes && gap < best_gap) {
        best = end;
        best_gap = gap;
      }
    }
    const size_t other_end = other.offset + other.bytes;
    if (other_end > end) end = other_end;
  }
  return best_gap == SIZE_MAX ? end : best;
}

// Puts `place` into the first `count` of `placed`, sorted by offset.
void Insert(Place* placed, uint32_t count, const Place& place) {
  uint32_t at = count;
  for (; at > 0 && placed[at - 1].offset > place.offset; --at) placed[at] = placed[at - 1];
  placed[at] = place;
}

}  // namespace

Status PlanArena(const Lifetime* lifetimes, uint32_t count, size_t alignment, size_t* offsets, size_t* total) {
  AlignedArray<Place> order, placed;
  if (!order.Reserve(size_t{count} + 1) || !placed.Reserve(size_t{count} + 1)) return Error("gpu: no memory to plan");
  size_t sum = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const Lifetime& lifetime = lifetimes[i];
    size_t rounded = 0;
    if (__builtin_add_overflow(lifetime.bytes, alignment - 1, &rounded) ||
        __builtin_add_overflow(sum, rounded & ~(alignment - 1), &sum)) {
      return Error("gpu: the tensors have too many bytes");
    }
    // Whole multiples of the alignment keep every offset aligned.
    order[i] = {i, lifetime.first, lifetime.last, rounded & ~(alignment - 1), 0};
  }
  qsort(order.data(), count, sizeof(Place), BySize);
  *total = 0;
  for (uint32_t i = 0; i < count; ++i) {
    Place place = order[i];
    place.offset = TightestGap(placed.data(), i, place);
    Insert(placed.data(), i, place);
    offsets[place.tensor] = place.offset;
    if (place.offset + place.bytes > *total) *total = place.offset + place.bytes;
  }
  return {};
}

}  // namespace tfprune
