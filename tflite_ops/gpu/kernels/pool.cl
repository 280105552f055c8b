// SPDX-License-Identifier: Apache-2.0
// Pooling of planes over the pixels of the window that lie inside the image. A work-item computes four neighbouring
// pixels of one channel.
//
// Options
//     MAXIMUM  1: the largest value, a NaN where there is one; 0: the mean

kernel void Pool(global const Stored* restrict x, global Stored* restrict y, int4 in, int4 out, int4 moves, int4 reach,
                 int channels, float2 bounds) {
  const int pixels = out.s0 * out.s1, blocks = (pixels + 3) / 4;
  const int channel = get_global_id(0) / blocks, pixel = 4 * (get_global_id(0) % blocks), image = get_global_id(2);
  if (channel >= channels) return;
  const int4 at = pixel + (int4)(0, 1, 2, 3);
  const int4 out_y = at / out.s1, out_x = at - out_y * out.s1;
  const int plane = image * in.s3 + channel * in.s2;
#if MAXIMUM
  float4 result = (float4)(-INFINITY);
#else
  float4 result = (float4)(0.0f), count = (float4)(0.0f);
#endif
  for (int row = 0; row < reach.s0; ++row) {
    for (int column = 0; column < reach.s1; ++column) {
      const Tap tap = FindTap(out_y, out_x, row, column, in, moves, reach);
      const float4 value = IsRun(tap) ? LOAD4(x, plane + tap.place.s0) : Gather(x, plane, tap);
#if MAXIMUM
      result = select(result, value, tap.inside & ((value > result) | isnan(value)));
#else
      result += value;
      count += select((float4)(0.0f), (float4)(1.0f), tap.inside);
#endif
    }
  }
#if !MAXIMUM
  result /= count;
#endif
  StorePixels(Clamp4(result, bounds), y, image * out.s3 + channel * out.s2, pixel, pixels);
}
