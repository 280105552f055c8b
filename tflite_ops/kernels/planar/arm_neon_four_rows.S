// SPDX-License-Identifier: Apache-2.0
// The inner loops of groups of four rows on NEON, declared and explained in arm_neon_four_rows.h.
//
// In assembly because compilers keep neither the order of loads and multiply-adds that a core without reordering needs,
// nor the registers: the widest kernel fills all of them, with 4 x 6 sums, 6 inputs and 2 weights.
//
// x0 run      x1, x14 inputs of the cell, and its second half where there are six vectors     x2 places   x3 weights
// x4 bias     x5 bias of the last rows (sliding)    x6 output    x7 its row's bytes    x8 addend   x9 its row's bytes
// x10 rounds  x11 sums   w12 whether to clamp       x13 bytes from bias to bias   x15, x16 steps   w17 cells to go
//
// v0 ..: sums, row by row; then, from v24 (six vectors) or v16, inputs; weights in v30, v31, except of four vectors.

#if defined(__aarch64__)
.altmacro
.text

.macro FourRows sum0, sum1, sum2, sum3, input, weight
  fmla v\sum0\().4s, v\input\().4s, v\weight\().s[0]
  fmla v\sum1\().4s, v\input\().4s, v\weight\().s[1]
  fmla v\sum2\().4s, v\input\().4s, v\weight\().s[2]
  fmla v\sum3\().4s, v\input\().4s, v\weight\().s[3]
.endm

// Vectors [from, to) of a cell, whose first vector is in register `input`.
.macro Vectors count, from, to, input, weight
  .if (\from) < (\to)
    FourRows %(\from), %(\count+\from), %(2*\count+\from), %(3*\count+\from), %(\input+\from), \weight
    Vectors \count, %(\from+1), \to, \input, \weight
  .endif
.endm

.macro LoadRegisters first, last, place, step
  .if (\first) == (\last)
    ld1 {v\first\().4s}, [\place], \step
  .else
    ld1 {v\first\().4s-v\last\().4s}, [\place], \step
  .endif
.endm

// Two cells, then one cell, of up to four vectors: both cells' inputs have registers of their own.
.macro PairOfCells count
  LoadRegisters 16, %(15+\count), x1, x15
  LoadRegisters %(16+\count), %(15+2*\count), x1, x16
  Vectors \count, 0, \count, 16, 30
  Vectors \count, 0, \count, %(16+\count), 31
.endm
.macro OneCell count
  LoadRegisters 16, %(15+\count), x1, x15
  Vectors \count, 0, \count, 16, 30
.endm

// Of six vectors: halves of the second cell take the registers of the first one's as they become free.
.macro PairOfWideCells
  LoadRegisters 24, 26, x1, x15
  LoadRegisters 27, 29, x14, x15
  Vectors 6, 0, 3, 24, 30
  LoadRegisters 24, 26, x1, x16
  Vectors 6, 3, 6, 24, 30
  LoadRegisters 27, 29, x14, x16
  Vectors 6, 0, 6, 24, 31
.endm
.macro OneWideCell
  LoadRegisters 24, 26, x1, x15
  LoadRegisters 27, 29, x14, x15
  Vectors 6, 0, 6, 24, 30
.endm

// All cells of a line.
.macro Line count
  ldr w17, [x2], #8
  subs w17, w17, #2
  b.lt 2f
1:
  ldpsw x15, x16, [x2], #8
  ldp q30, q31, [x3], #32
  .if (\count) == 6
    PairOfWideCells
  .else
    PairOfCells \count
  .endif
  subs w17, w17, #2
  b.ge 1b
2:
  tbz w17, #0, 3f
  ldrsw x15, [x2], #4
  ldr q30, [x3], #16
  .if (\count) == 6
    OneWideCell
  .else
    OneCell \count
  .endif
3:
.endm

.macro AddAddend sum, left, offset
  .if (\left) > 0
    ldr q28, [x8, #\offset]
    fadd v\sum\().4s, v\sum\().4s, v28.4s
    AddAddend %(\sum+1), %(\left-1), %(\offset+16)
  .endif
.endm
.macro Raise sum, left, bound
  .if (\left) > 0
    fmax v\sum\().4s, v\sum\().4s, v\bound\().4s
    Raise %(\sum+1), %(\left-1), \bound
  .endif
.endm
.macro Cut sum, left, bound
  .if (\left) > 0
    fmin v\sum\().4s, v\sum\().4s, v\bound\().4s
    Cut %(\sum+1), %(\left-1), \bound
  .endif
.endm
.macro StoreTwo first, second, offset
  stp q\first, q\second, [x6, #\offset]
.endm
.macro StoreSums sum, left, offset
  .if (\left) > 1
    StoreTwo \sum, %(\sum+1), \offset
    StoreSums %(\sum+2), %(\left-2), %(\offset+32)
  .elseif (\left) == 1
    str q\sum, [x6, #\offset]
  .endif
.endm

// Row `sum / count` of the sums is complete.
.macro FinishRow count, sum
  cbz x8, 4f
  AddAddend \sum, \count, 0
  add x8, x8, x9
4:
  cbz w12, 5f
  ldp q24, q25, [x0, #112]
  Raise \sum, \count, 24
  Cut \sum, \count, 25
5:
  StoreSums \sum, \count, 0
  add x6, x6, x7
.endm

.macro CopyRegister to, from
  mov v\to\().16b, v\from\().16b
.endm
.macro CopyRegisters to, from, left
  .if (\left) > 0
    CopyRegister \to, \from
    CopyRegisters %(\to+1), \from, %(\left-1)
  .endif
.endm
.macro LoadBias sum
  ld1r {v\sum\().4s}, [x4], x13
.endm

.macro SlidingLine count, sum
  Line \count
  FinishRow \count, \sum
  LoadBias \sum
  CopyRegisters %(\sum+1), \sum, %(\count-1)
.endm

.macro LoadTwo first, second, offset
  ldp q\first, q\second, [x11, #\offset]
.endm
.macro LoadSums first, last
  .if (\first) < (\last)
    LoadTwo \first, %(\first+1), %(16*\first)
    LoadSums %(\first+2), \last
  .endif
.endm
.macro KeepTwo first, second, offset
  stp q\first, q\second, [x11, #\offset]
.endm
.macro KeepSums first, last
  .if (\first) < (\last)
    KeepTwo \first, %(\first+1), %(16*\first)
    KeepSums %(\first+2), \last
  .endif
.endm

.macro Begin name
  .global \name
  .hidden \name
  .type \name, %function
  .balign 16
\name:
  sub sp, sp, #64
  stp d8, d9, [sp]
  stp d10, d11, [sp, #16]
  stp d12, d13, [sp, #32]
  stp d14, d15, [sp, #48]
  ldp x1, x2, [x0]
  ldp x3, x4, [x0, #16]
  ldp x5, x6, [x0, #32]
  ldp x7, x8, [x0, #48]
  ldp x9, x10, [x0, #64]
  ldp x11, x12, [x0, #80]
  ldr x13, [x0, #96]
  add x14, x1, #48
.endm
.macro End name
  ldp d8, d9, [sp]
  ldp d10, d11, [sp, #16]
  ldp d12, d13, [sp, #32]
  ldp d14, d15, [sp, #48]
  add sp, sp, #64
  ret
  .size \name, .-\name
.endm

.macro Sliding name, count
  Begin \name
  LoadSums 0, %(4*\count)
6:
  subs x10, x10, #1
  csel x4, x5, x4, eq
  SlidingLine \count, 0
  SlidingLine \count, %(\count)
  SlidingLine \count, %(2*\count)
  SlidingLine \count, %(3*\count)
  cbnz x10, 6b
  KeepSums 0, %(4*\count)
  End \name
.endm

.macro SpreadLane sum, lane
  dup v\sum\().4s, v30.s[\lane]
.endm
.macro SpreadBias sum, lane, left
  .if (\left) > 0
    SpreadLane \sum, \lane
    SpreadBias %(\sum+1), \lane, %(\left-1)
  .endif
.endm

.macro Bands name, count
  Begin \name
6:
  ld1 {v30.4s}, [x4], x13
  SpreadBias 0, 0, \count
  SpreadBias %(\count), 1, \count
  SpreadBias %(2*\count), 2, \count
  SpreadBias %(3*\count), 3, \count
  Line \count
  FinishRow \count, 0
  FinishRow \count, %(\count)
  FinishRow \count, %(2*\count)
  FinishRow \count, %(3*\count)
  subs x10, x10, #1
  b.ne 6b
  End \name
.endm

Sliding tfprune_neon_sliding_4x6, 6
Sliding tfprune_neon_sliding_4x4, 4
Sliding tfprune_neon_sliding_4x2, 2
Sliding tfprune_neon_sliding_4x1, 1
Bands tfprune_neon_bands_4x6, 6
Bands tfprune_neon_bands_4x4, 4
Bands tfprune_neon_bands_4x2, 2
Bands tfprune_neon_bands_4x1, 1

.section .note.GNU-stack, "", %progbits
#endif
