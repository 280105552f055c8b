// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BASE_INTEGERS_H_
#define TFPRUNE_BASE_INTEGERS_H_

#include <stdint.h>

namespace tfprune {

// The C++ library's are left out with the rest of it.
inline uint32_t DivideUp(uint32_t a, uint32_t b) { return (a + b - 1) / b; }
inline uint32_t Smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

}  // namespace tfprune

#endif  // TFPRUNE_BASE_INTEGERS_H_
