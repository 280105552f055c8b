// SPDX-License-Identifier: Apache-2.0
// NHWC float tensors of the interpreter to planes, and back.

// A work-item makes four pixels of one channel.
kernel void FromNhwc(global const float* restrict x, global Stored* restrict y, int channels, int pixels,
                     int channel_stride, int image_stride) {
  const int pixel = 4 * get_global_id(0), channel = get_global_id(1), image = get_global_id(2);
  if (pixel >= pixels || channel >= channels) return;
  const int first = (image * pixels + pixel) * channels + channel;
  float4 value = (float4)(0.0f);
  value.s0 = x[first];
  if (pixel + 1 < pixels) value.s1 = x[first + channels];
  if (pixel + 2 < pixels) value.s2 = x[first + 2 * channels];
  if (pixel + 3 < pixels) value.s3 = x[first + 3 * channels];
  STORE4(value, y, image * image_stride + channel * channel_stride + pixel);
}

// A work-item makes one channel of one pixel.
kernel void ToNhwc(global const Stored* restrict x, global float* restrict y, int channels, int pixels,
                   int channel_stride, int image_stride) {
  const int channel = get_global_id(0), pixel = get_global_id(1), image = get_global_id(2);
  if (channel >= channels || pixel >= pixels) return;
  y[(image * pixels + pixel) * channels + channel] =
      LOAD(x, image * image_stride + channel * channel_stride + pixel);
}
