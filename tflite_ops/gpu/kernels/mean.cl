// SPDX-License-Identifier: Apache-2.0
// Mean of all pixels of a plane. A work-group makes one channel: its work-items take the pixels in turns and add their
// sums up in `partial`, one float for each of them; the size of a work-group is a power of two.

kernel void Mean(global const Stored* restrict x, global Stored* restrict y, local float* restrict partial, int pixels,
                 int channel_stride, int in_stride, int out_stride) {
  const int lane = get_local_id(0), lanes = get_local_size(0), channel = get_global_id(1), image = get_global_id(2);
  const int plane = image * in_stride + channel * channel_stride;
  float sum = 0.0f;
  for (int pixel = lane; pixel < pixels; pixel += lanes) sum += LOAD(x, plane + pixel);
  partial[lane] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int half_lanes = lanes / 2; half_lanes > 0; half_lanes /= 2) {
    if (lane < half_lanes) partial[lane] += partial[lane + half_lanes];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (lane == 0) STORE(partial[0] / pixels, y, image * out_stride + channel);
}
