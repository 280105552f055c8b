// SPDX-License-Identifier: Apache-2.0
// Element by element: y = clamp(OPERATION(a, b)). A work-item makes four neighbouring values of one plane of `a`, whose
// shape is that of y; `b` may be one value a plane, or one for all.
//
// Options
//     OPERATION  0 a + b, 1 a - b, 2 b - a, 3 a * b, 4 max, 5 min, 6 a / b, 7 b / a; max and min keep a NaN of either
//
//     steps.s012 = from a value of `b` to that of the next image, plane and pixel; each may be 0, the last is 0 or 1

float4 Operate(float4 a, float4 b) {
#if OPERATION == 0
  return a + b;
#elif OPERATION == 1
  return a - b;
#elif OPERATION == 2
  return b - a;
#elif OPERATION == 3
  return a * b;
#elif OPERATION == 4
  return select(b, a, (a > b) | isnan(a));
#elif OPERATION == 5
  return select(b, a, (a < b) | isnan(a));
#elif OPERATION == 6
  return a / b;
#else
  return b / a;
#endif
}

kernel void Binary(global const Stored* restrict a, global const Stored* restrict b, global Stored* restrict y,
                   int planes, int blocks, int channel_stride, int image_stride, int4 steps, float2 bounds) {
  const int plane = get_global_id(0) / blocks, pixel = 4 * (get_global_id(0) % blocks), image = get_global_id(2);
  if (plane >= planes) return;
  const int at = image * image_stride + plane * channel_stride + pixel;
  const int other = image * steps.s0 + plane * steps.s1 + pixel * steps.s2;
  const float4 second = steps.s2 == 1 ? LOAD4(b, other) : (float4)(LOAD(b, other));
  STORE4(Clamp4(Operate(LOAD4(a, at), second), bounds), y, at);
}
