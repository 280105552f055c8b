// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BASE_ROUNDING_H_
#define TFPRUNE_BASE_ROUNDING_H_

namespace tfprune {

// `value` rounded to the nearest whole number, ties to even. |value| must stay below 2^22.
inline float RoundToEven(float value) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23: its neighbours are whole numbers
  const float shifted = value + kShift;
  return shifted - kShift;
}

}  // namespace tfprune

#endif  // TFPRUNE_BASE_ROUNDING_H_
