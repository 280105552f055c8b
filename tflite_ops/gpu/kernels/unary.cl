// SPDX-License-Identifier: Apache-2.0
// Value by value: y = clamp(f(x)). A work-item makes four neighbouring values of the whole tensor, filling included.
//
// Options
//     FUNCTION  0 x, 1 logistic, 2 tanh, 3 hard swish x * clamp(x + 3, 0, 6) / 6, 4 leaky x < 0 ? slope * x : x

float4 Apply(float4 x, float slope) {
  (void)slope;  // of FUNCTION 4 alone
#if FUNCTION == 0
  return x;
#elif FUNCTION == 1
  return 1.0f / (1.0f + exp(-x));
#elif FUNCTION == 2
  return tanh(Clamp4(x, (float2)(-10.0f, 10.0f)));  // 1 from there on; some devices' own fails on large numbers
#elif FUNCTION == 3
  return x * Clamp4(x + 3.0f, (float2)(0.0f, 6.0f)) * (1.0f / 6.0f);
#else
  return select(x, slope * x, x < 0.0f);
#endif
}

kernel void Unary(global const Stored* restrict x, global Stored* restrict y, int blocks, float2 slope, float2 bounds) {
  const int block = get_global_id(0);
  if (block >= blocks) return;
  STORE4(Clamp4(Apply(LOAD4(x, 4 * block), slope.x), bounds), y, 4 * block);
}
