// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_GPU_TASKS_LONGEST_FIRST_H_
#define TFPRUNE_GPU_TASKS_LONGEST_FIRST_H_

#include <stddef.h>
#include <stdint.h>

namespace tfprune {

// Sorts `count` pieces of work by length, the longest first and equal ones by number: work-items of a group, which wait
// for each other, then have about equally much to do. `positions[i]` is the place of piece i. False without memory.
bool LongestFirst(const size_t* lengths, uint32_t count, uint32_t* positions);

}  // namespace tfprune

#endif  // TFPRUNE_GPU_TASKS_LONGEST_FIRST_H_
