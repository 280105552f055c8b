// SPDX-License-Identifier: Apache-2.0
// In front of every program: storage of tensors and what each kernel does with its results.
//
// Options of every program
//     STORAGE_HALF  1: tensors and weights are stored as half, else as float. Arithmetic is float in both.
//
// An image lies in planes, one a channel: pixel p = y * width + x of channel c of image n is value
// n * image_stride + c * channel_stride + p. A plane has room for whole blocks of four pixels; what is stored behind the
// last pixel has no meaning. An image of one pixel is a single plane of channels (channel_stride is 1).

#if STORAGE_HALF
typedef half Stored;
#define LOAD(values, i) vload_half((i), (values))
#define LOAD4(values, i) vload_half4(0, (values) + (i))
#define STORE(value, values, i) vstore_half_rte((value), (i), (values))
#define STORE4(value, values, i) vstore_half4_rte((value), 0, (values) + (i))
#else
typedef float Stored;
#define LOAD(values, i) ((values)[i])
#define LOAD4(values, i) vload4(0, (values) + (i))
#define STORE(value, values, i) ((values)[i] = (value))
#define STORE4(value, values, i) vstore4((value), 0, (values) + (i))
#endif

// Not fmin and fmax: a NaN goes through.
float4 Clamp4(float4 value, float2 bounds) {
  value = select(value, (float4)(bounds.x), value < bounds.x);
  return select(value, (float4)(bounds.y), value > bounds.y);
}

float Clamp1(float value, float2 bounds) {
  value = value < bounds.x ? bounds.x : value;
  return value > bounds.y ? bounds.y : value;
}

// Pixels [pixel, pixel + 4) of a plane that starts at value `plane`; only the first where the image has one pixel.
void StorePixels(float4 value, global Stored* values, int plane, int pixel, int pixels) {
  if (pixels == 1) {
    STORE(value.s0, values, plane);
  } else {
    STORE4(value, values, plane + pixel);
  }
}

float4 LoadPixels(global const Stored* values, int plane, int pixel, int pixels) {
  return pixels == 1 ? (float4)(LOAD(values, plane)) : LOAD4(values, plane + pixel);
}
