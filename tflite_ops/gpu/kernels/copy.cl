// SPDX-License-Identifier: Apache-2.0
// One or two images put side by side, cut or padded: each value of y is that of `a` or `b` which stands there, else the
// fill. A work-item makes four neighbouring values of one plane.
//
// Options
//     TWO  1: there is `b`; where both stand, `a` counts
//
//     *_image.s0123 = height, width, channel_stride, image_stride
//     *_size.s01 = channels, batch
//     *_at.s0123 = row, column, channel, image of y where its first value stands; may be negative

// Values of four places that follow one another in a plane of y: channels where y has one pixel, else pixels.
float4 Pick4(global const Stored* restrict values, int4 image, int2 size, int4 at, int4 out, int plane, int place, int n,
             float4 otherwise) {
  const bool single = out.s0 * out.s1 == 1;
  const int from = n - at.s3;
  if (from < 0 || from >= size.s1) return otherwise;
  if (!single && at.s0 == 0 && at.s1 == 0 && image.s0 == out.s0 && image.s1 == out.s1) {
    const int channel = plane - at.s2;
    if (channel < 0 || channel >= size.s0) return otherwise;
    return LOAD4(values, from * image.s3 + channel * image.s2 + place);
  }
  float four[4] = {otherwise.s0, otherwise.s1, otherwise.s2, otherwise.s3};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int row = (single ? 0 : (place + i) / out.s1) - at.s0;
    const int column = (single ? 0 : (place + i) % out.s1) - at.s1;
    const int channel = (single ? place + i : plane) - at.s2;
    if (row < 0 || row >= image.s0 || column < 0 || column >= image.s1 || channel < 0 || channel >= size.s0) continue;
    four[i] = LOAD(values, from * image.s3 + channel * image.s2 + row * image.s1 + column);
  }
  return (float4)(four[0], four[1], four[2], four[3]);
}

kernel void Copy(global const Stored* restrict a,
#if TWO
                 global const Stored* restrict b,
#endif
                 global Stored* restrict y, int4 a_image, int4 a_size, int4 a_at,
#if TWO
                 int4 b_image, int4 b_size, int4 b_at,
#endif
                 int4 out, int planes, int blocks, float2 fill) {
  const int plane = get_global_id(0) / blocks, place = 4 * (get_global_id(0) % blocks), n = get_global_id(2);
  if (plane >= planes) return;
  float4 value = (float4)(fill.x);
#if TWO
  value = Pick4(b, b_image, b_size.s01, b_at, out, plane, place, n, value);
#endif
  value = Pick4(a, a_image, a_size.s01, a_at, out, plane, place, n, value);
  STORE4(value, y, n * out.s3 + plane * out.s2 + place);
}
