// SPDX-License-Identifier: Apache-2.0
// Softmax over the channels of each pixel: y[c] = exp(beta * (x[c] - m)) / sum over k of exp(beta * (x[k] - m)), m the
// largest x. A work-group makes one pixel: its work-items take the channels in turns and join what they found in
// `partial`, one float for each of them; the size of a work-group is a power of two.

// The largest of all work-items' values, or their sum, for each of them. `partial` may be used again at once.
float Join(float value, local float* partial, bool largest) {
  const int lane = get_local_id(0), lanes = get_local_size(0);
  partial[lane] = value;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int half_lanes = lanes / 2; half_lanes > 0; half_lanes /= 2) {
    if (lane < half_lanes) {
      const float other = partial[lane + half_lanes];
      partial[lane] = largest ? fmax(partial[lane], other) : partial[lane] + other;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  const float result = partial[0];
  barrier(CLK_LOCAL_MEM_FENCE);
  return result;
}

kernel void Softmax(global const Stored* restrict x, global Stored* restrict y, local float* restrict partial,
                    int channels, int channel_stride, int image_stride, float2 beta) {
  const int lane = get_local_id(0), lanes = get_local_size(0);
  const int at = get_global_id(2) * image_stride + get_global_id(1);
  float largest = -INFINITY, sum = 0.0f;
  for (int c = lane; c < channels; c += lanes) largest = fmax(largest, LOAD(x, at + c * channel_stride));
  largest = Join(largest, partial, true);
  for (int c = lane; c < channels; c += lanes) sum += exp(beta.x * (LOAD(x, at + c * channel_stride) - largest));
  sum = Join(sum, partial, false);
  for (int c = lane; c < channels; c += lanes) {
    const float value = exp(beta.x * (LOAD(x, at + c * channel_stride) - largest)) / sum;
    STORE(value, y, at + c * channel_stride);
  }
}
