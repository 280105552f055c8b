// SPDX-License-Identifier: Apache-2.0
// Transposes of eight positions on NEON; arm_neon_transposes.h declares them. A pointer for each position and each of
// four channels moves along by itself, so that nothing but loads, stores and zips is left. No register that a caller
// keeps is used.

#if defined(__aarch64__)
.text

// Four channels of eight positions: v\a .. of positions 0 to 3, v\e .. of 4 to 7; goes to v\o .. in pairs a channel.
.macro FourChannels a, b, c, d, e, f, g, h
  zip1 v24.4s, v\a\().4s, v\c\().4s
  zip1 v25.4s, v\b\().4s, v\d\().4s
  zip2 v26.4s, v\a\().4s, v\c\().4s
  zip2 v27.4s, v\b\().4s, v\d\().4s
  zip1 v28.4s, v\e\().4s, v\g\().4s
  zip1 v29.4s, v\f\().4s, v\h\().4s
  zip2 v30.4s, v\e\().4s, v\g\().4s
  zip2 v31.4s, v\f\().4s, v\h\().4s
  zip1 v\a\().4s, v24.4s, v25.4s
  zip1 v\b\().4s, v28.4s, v29.4s
  zip2 v\c\().4s, v24.4s, v25.4s
  zip2 v\d\().4s, v28.4s, v29.4s
  zip1 v\e\().4s, v26.4s, v27.4s
  zip1 v\f\().4s, v30.4s, v31.4s
  zip2 v\g\().4s, v26.4s, v27.4s
  zip2 v\h\().4s, v30.4s, v31.4s
  st1 {v\a\().4s-v\b\().4s}, [x3], x4
  st1 {v\c\().4s-v\d\().4s}, [x12], x4
  st1 {v\e\().4s-v\f\().4s}, [x13], x4
  st1 {v\g\().4s-v\h\().4s}, [x14], x4
.endm

// x0 input   x1 bytes between positions   x2 eights of channels, at least one   x3 output   x4 bytes between channels
  .global tfprune_neon_to_planar_8
  .hidden tfprune_neon_to_planar_8
  .type tfprune_neon_to_planar_8, %function
  .balign 16
tfprune_neon_to_planar_8:
  add x5, x0, x1
  add x6, x0, x1, lsl #1
  add x7, x5, x1, lsl #1
  add x8, x0, x1, lsl #2
  add x9, x5, x1, lsl #2
  add x10, x6, x1, lsl #2
  add x11, x7, x1, lsl #2
  add x12, x3, x4
  add x13, x3, x4, lsl #1
  add x14, x12, x4, lsl #1
  lsl x4, x4, #2
1:
  ldp q0, q16, [x0], #32
  ldp q1, q17, [x5], #32
  ldp q2, q18, [x6], #32
  ldp q3, q19, [x7], #32
  ldp q4, q20, [x8], #32
  ldp q5, q21, [x9], #32
  ldp q6, q22, [x10], #32
  ldp q7, q23, [x11], #32
  FourChannels 0, 1, 2, 3, 4, 5, 6, 7
  FourChannels 16, 17, 18, 19, 20, 21, 22, 23
  subs x2, x2, #1
  b.ne 1b
  ret
  .size tfprune_neon_to_planar_8, .-tfprune_neon_to_planar_8

// Pairs of channels are zipped; a store of two halves of registers puts two pairs behind each other.
.macro TwoPositions first, second, even, odd
  st2 {v\first\().d-v\second\().d}[0], [\even], #16
  st2 {v\first\().d-v\second\().d}[1], [\odd], #16
.endm

// x0 input   x1 bytes between channels   x2 fours of channels, at least one   x3 output   x4 bytes between positions
  .global tfprune_neon_from_planar_8
  .hidden tfprune_neon_from_planar_8
  .type tfprune_neon_from_planar_8, %function
  .balign 16
tfprune_neon_from_planar_8:
  add x5, x3, x4
  add x6, x3, x4, lsl #1
  add x7, x5, x4, lsl #1
  add x8, x3, x4, lsl #2
  add x9, x5, x4, lsl #2
  add x10, x6, x4, lsl #2
  add x11, x7, x4, lsl #2
  add x12, x0, x1
  add x13, x0, x1, lsl #1
  add x14, x12, x1, lsl #1
  lsl x1, x1, #2
2:
  ld1 {v0.4s-v1.4s}, [x0], x1
  ld1 {v2.4s-v3.4s}, [x12], x1
  ld1 {v4.4s-v5.4s}, [x13], x1
  ld1 {v6.4s-v7.4s}, [x14], x1
  zip1 v16.4s, v0.4s, v2.4s
  zip1 v17.4s, v4.4s, v6.4s
  zip2 v18.4s, v0.4s, v2.4s
  zip2 v19.4s, v4.4s, v6.4s
  zip1 v20.4s, v1.4s, v3.4s
  zip1 v21.4s, v5.4s, v7.4s
  zip2 v22.4s, v1.4s, v3.4s
  zip2 v23.4s, v5.4s, v7.4s
  TwoPositions 16, 17, x3, x5
  TwoPositions 18, 19, x6, x7
  TwoPositions 20, 21, x8, x9
  TwoPositions 22, 23, x10, x11
  subs x2, x2, #1
  b.ne 2b
  ret
  .size tfprune_neon_from_planar_8, .-tfprune_neon_from_planar_8

.section .note.GNU-stack, "", %progbits
#endif
