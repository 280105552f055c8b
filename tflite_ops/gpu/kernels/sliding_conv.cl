// SPDX-License-Identifier: Apache-2.0
// Convolution of planes with groups of GROUP_ROWS output channels that start at any channel: the formula of conv.cl.
//
// A *unit* is UNIT_ROWS neighbouring output channels, the work of a work-item for four neighbouring pixels. Line l of a
// unit holds what groups that start at channel first_row - (GROUP_ROWS - 1) + l have inside of it: channels FIRST(l) to
// LAST(l) of the unit, the same for every unit, so that sums stay in registers and nothing is multiplied that was
// pruned. Groups across two units are split. Cells lie unit by unit, kernel position by kernel position, line by line;
// values in the same order, LAST - FIRST + 1 for each cell.
//
//     starts[(unit * taps + t) * LINES + l]   first cell of a line; the next one's is its end
//     value_starts[unit]                      first value
//     bands.s03 = output channels, units
//
// Options
//     UNIT_ROWS, GROUP_ROWS
//     ADDEND  1: adds a tensor of the output's shape before the clamp

#define LINES (UNIT_ROWS + GROUP_ROWS - 1)
#define FIRST(l) ((l) < GROUP_ROWS ? 0 : (l) - (GROUP_ROWS - 1))
#define LAST(l) ((l) < UNIT_ROWS ? (l) : UNIT_ROWS - 1)

// The loop has constant bounds so that it is unrolled before the one over lines is: then every index of `sums` is a
// constant, and so is every condition.
#define MULTIPLY(input)                                                                        \
  {                                                                                            \
    const float4 value = (input);                                                              \
    global const Stored* restrict weight = values + place;                                     \
    _Pragma("unroll") for (int r = 0; r < UNIT_ROWS; ++r) {                                    \
      if (r >= FIRST(l) && r <= LAST(l)) sums[r] += value * LOAD(weight, r - FIRST(l));        \
    }                                                                                          \
    place += LAST(l) - FIRST(l) + 1;                                                           \
  }

kernel void SlidingConv(global const Stored* restrict x, global Stored* restrict y,
                        global const Stored* restrict values, global const int* restrict first_rows,
                        global const float* restrict bias, global const ushort* restrict channels,
                        global const int* restrict starts, global const int* restrict value_starts,
#if ADDEND
                        global const Stored* restrict addend,
#endif
                        int4 in, int4 out, int4 moves, int4 reach, int4 bands, float2 bounds) {
  const int pixels = out.s0 * out.s1, blocks = (pixels + 3) / 4;
  const int unit = get_global_id(0) / blocks, pixel = 4 * (get_global_id(0) % blocks), image = get_global_id(2);
  if (unit >= bands.s3) return;
  const int first_row = first_rows[unit], rows = min(UNIT_ROWS, bands.s0 - first_row);
  const int4 at = pixel + (int4)(0, 1, 2, 3);
  const int4 out_y = at / out.s1, out_x = at - out_y * out.s1;
  global const Stored* restrict input = x + image * in.s3;

  float4 sums[UNIT_ROWS];
  _Pragma("unroll") for (int r = 0; r < UNIT_ROWS; ++r) sums[r] = r < rows ? bias[first_row + r] : 0.0f;
  int place = value_starts[unit], list = unit * reach.s0 * reach.s1 * LINES;
  for (int row = 0; row < reach.s0; ++row) {
    for (int column = 0; column < reach.s1; ++column, list += LINES) {
      const Tap tap = FindTap(out_y, out_x, row, column, in, moves, reach);
      const bool run = IsRun(tap), inside = any(tap.inside);
      _Pragma("unroll") for (int l = 0; l < LINES; ++l) {
        const int first = starts[list + l], end = starts[list + l + 1];
        if (run) {
          for (int cell = first; cell < end; ++cell) {
            MULTIPLY(LOAD4(input, channels[cell] * in.s2 + tap.place.s0))
          }
        } else if (inside) {
          for (int cell = first; cell < end; ++cell) {
            MULTIPLY(Gather(input, channels[cell] * in.s2, tap))
          }
        } else {
          place += (end - first) * (LAST(l) - FIRST(l) + 1);
        }
      }
    }
  }

  _Pragma("unroll") for (int r = 0; r < UNIT_ROWS; ++r) {
    if (r < rows) {
      const int plane = image * out.s3 + (first_row + r) * out.s2;
#if ADDEND
      sums[r] += LoadPixels(addend, plane, pixel, pixels);
#endif
      StorePixels(Clamp4(sums[r], bounds), y, plane, pixel, pixels);
    }
  }
}
