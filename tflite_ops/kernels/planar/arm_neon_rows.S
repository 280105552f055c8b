// SPDX-License-Identifier: Apache-2.0
// The inner loops of groups of one, two and four rows on NEON, declared and explained in arm_neon_rows.h.
//
// In assembly because compilers keep neither the order of loads and multiply-adds that a core without reordering needs,
// nor the registers: the widest kernel fills all of them, with 4 x 6 sums, 6 inputs and 2 weights.
//
// x0 run      x1, x14 inputs of the cell, and its second half where there are six vectors or more     x2 steps
// x3 weights  x4 bias   x5 bias of the last rows (sliding)   x6 output   x7 its row's bytes   x8 addend   x9 its row's
// bytes       x10 rounds   x11 sums   w12 whether to clamp   x13 bytes from bias to bias   x15, x16 steps   w17 cells
//
// v0 ..: `count` sums of each row; inputs from v24 (six vectors) or v16; weights in v30 and v31; v24, v25 and v28 also
// hold bounds and addend when a row is complete.

#if defined(__aarch64__)
.altmacro
.text

.macro MultiplyAdd sum, input, weight, lane
  fmla v\sum\().4s, v\input\().4s, v\weight\().s[\lane]
.endm
.macro EachRow rows, row, count, vector, input, weight, lane
  .if (\row) < (\rows)
    MultiplyAdd %((\row)*(\count)+(\vector)), \input, \weight, %((\lane)+(\row))
    EachRow \rows, %((\row)+1), \count, \vector, \input, \weight, \lane
  .endif
.endm

// Vectors [from, to) of a cell, whose first vector is in register `input`, times the weights from `lane` on.
.macro Vectors rows, count, from, to, input, weight, lane
  .if (\from) < (\to)
    EachRow \rows, 0, \count, \from, %((\input)+(\from)), \weight, \lane
    Vectors \rows, \count, %((\from)+1), \to, \input, \weight, \lane
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
.macro PairOfCells rows, count, weight, lane
  LoadRegisters 16, %(15+(\count)), x1, x15
  LoadRegisters %(16+(\count)), %(15+2*(\count)), x1, x16
  Vectors \rows, \count, 0, \count, 16, 30, 0
  Vectors \rows, \count, 0, \count, %(16+(\count)), \weight, \lane
.endm
.macro OneCell rows, count
  LoadRegisters 16, %(15+(\count)), x1, x15
  Vectors \rows, \count, 0, \count, 16, 30, 0
.endm

// Of more: halves of the second cell take the registers of the first one's as they become free.
.macro PairOfWideCells rows, count, half, input, weight, lane
  LoadRegisters \input, %((\input)+(\half)-1), x1, x15
  LoadRegisters %((\input)+(\half)), %((\input)+(\count)-1), x14, x15
  Vectors \rows, \count, 0, \half, \input, 30, 0
  LoadRegisters \input, %((\input)+(\half)-1), x1, x16
  Vectors \rows, \count, \half, \count, \input, 30, 0
  LoadRegisters %((\input)+(\half)), %((\input)+(\count)-1), x14, x16
  Vectors \rows, \count, 0, \count, \input, \weight, \lane
.endm
.macro OneWideCell rows, count, half, input
  LoadRegisters \input, %((\input)+(\half)-1), x1, x15
  LoadRegisters %((\input)+(\half)), %((\input)+(\count)-1), x14, x15
  Vectors \rows, \count, 0, \count, \input, 30, 0
.endm

// The weights of two cells; those of the second begin at `lane` of register `weight`.
.macro PairWithWeights rows, count, weight, lane
  .if (\rows) == 4
    ldp q30, q31, [x3], #32
  .elseif (\rows) == 2
    ldr q30, [x3], #16
  .else
    ldr d30, [x3], #8
  .endif
  .if (\count) == 6
    PairOfWideCells \rows, 6, 3, 24, \weight, \lane
  .elseif (\count) == 8
    PairOfWideCells \rows, 8, 4, 16, \weight, \lane
  .else
    PairOfCells \rows, \count, \weight, \lane
  .endif
.endm

// All cells of a line.
.macro Line rows, count
  ldr w17, [x2], #8
  subs w17, w17, #2
  b.lt 2f
1:
  ldpsw x15, x16, [x2], #8
  .if (\rows) == 4
    PairWithWeights 4, \count, 31, 0
  .elseif (\rows) == 2
    PairWithWeights 2, \count, 30, 2
  .else
    PairWithWeights 1, \count, 30, 1
  .endif
  subs w17, w17, #2
  b.ge 1b
2:
  tbz w17, #0, 3f
  ldrsw x15, [x2], #4
  .if (\rows) == 4
    ldr q30, [x3], #16
  .elseif (\rows) == 2
    ldr d30, [x3], #8
  .else
    ldr s30, [x3], #4
  .endif
  .if (\count) == 6
    OneWideCell \rows, 6, 3, 24
  .elseif (\count) == 8
    OneWideCell \rows, 8, 4, 16
  .else
    OneCell \rows, \count
  .endif
3:
.endm

.macro AddAddend sum, left, offset
  .if (\left) > 0
    ldr q28, [x8, #\offset]
    fadd v\sum\().4s, v\sum\().4s, v28.4s
    AddAddend %((\sum)+1), %((\left)-1), %((\offset)+16)
  .endif
.endm
.macro Raise sum, left, bound
  .if (\left) > 0
    fmax v\sum\().4s, v\sum\().4s, v\bound\().4s
    Raise %((\sum)+1), %((\left)-1), \bound
  .endif
.endm
.macro Cut sum, left, bound
  .if (\left) > 0
    fmin v\sum\().4s, v\sum\().4s, v\bound\().4s
    Cut %((\sum)+1), %((\left)-1), \bound
  .endif
.endm
.macro StoreTwo first, second, offset
  stp q\first, q\second, [x6, #\offset]
.endm
.macro StoreSums sum, left, offset
  .if (\left) > 1
    StoreTwo \sum, %((\sum)+1), \offset
    StoreSums %((\sum)+2), %((\left)-2), %((\offset)+32)
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
    CopyRegisters %((\to)+1), \from, %((\left)-1)
  .endif
.endm
.macro LoadBias sum
  ld1r {v\sum\().4s}, [x4], x13
.endm

.macro SetRow count, sum
  LoadBias \sum
  CopyRegisters %((\sum)+1), \sum, %((\count)-1)
.endm

// Each start row in turn: behind its cells, row `row` of the sums is complete and the next one takes its place.
.macro SlidingLines rows, count, row
  .if (\row) < (\rows)
    Line \rows, \count
    FinishRow \count, %((\row)*(\count))
    SetRow \count, %((\row)*(\count))
    SlidingLines \rows, \count, %((\row)+1)
  .endif
.endm

.macro SetRows rows, count, row
  .if (\row) < (\rows)
    SetRow \count, %((\row)*(\count))
    SetRows \rows, \count, %((\row)+1)
  .endif
.endm
.macro FinishRows rows, count, row
  .if (\row) < (\rows)
    FinishRow \count, %((\row)*(\count))
    FinishRows \rows, \count, %((\row)+1)
  .endif
.endm

.macro LoadTwo first, second, offset
  ldp q\first, q\second, [x11, #\offset]
.endm
.macro LoadSums first, last
  .if (\first) < (\last)
    LoadTwo \first, %((\first)+1), %(16*(\first))
    LoadSums %((\first)+2), \last
  .endif
.endm
.macro KeepTwo first, second, offset
  stp q\first, q\second, [x11, #\offset]
.endm
.macro KeepSums first, last
  .if (\first) < (\last)
    KeepTwo \first, %((\first)+1), %(16*(\first))
    KeepSums %((\first)+2), \last
  .endif
.endm

.macro Begin name, count
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
  add x14, x1, #8*(\count)
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

.macro Sliding name, rows, count
  Begin \name, \count
  LoadSums 0, %((\rows)*(\count))
6:
  subs x10, x10, #1
  csel x4, x5, x4, eq
  SlidingLines \rows, \count, 0
  cbnz x10, 6b
  KeepSums 0, %((\rows)*(\count))
  End \name
.endm

.macro Bands name, rows, count
  Begin \name, \count
6:
  SetRows \rows, \count, 0
  Line \rows, \count
  FinishRows \rows, \count, 0
  subs x10, x10, #1
  b.ne 6b
  End \name
.endm

Sliding tfprune_neon_sliding_4x6, 4, 6
Sliding tfprune_neon_sliding_4x4, 4, 4
Sliding tfprune_neon_sliding_4x2, 4, 2
Sliding tfprune_neon_sliding_4x1, 4, 1
Sliding tfprune_neon_sliding_2x8, 2, 8
Sliding tfprune_neon_sliding_2x4, 2, 4
Sliding tfprune_neon_sliding_2x2, 2, 2
Sliding tfprune_neon_sliding_2x1, 2, 1
Bands tfprune_neon_bands_4x6, 4, 6
Bands tfprune_neon_bands_4x4, 4, 4
Bands tfprune_neon_bands_4x2, 4, 2
Bands tfprune_neon_bands_4x1, 4, 1
Bands tfprune_neon_bands_2x8, 2, 8
Bands tfprune_neon_bands_2x4, 2, 4
Bands tfprune_neon_bands_2x2, 2, 2
Bands tfprune_neon_bands_2x1, 2, 1
Bands tfprune_neon_bands_1x8, 1, 8
Bands tfprune_neon_bands_1x4, 1, 4
Bands tfprune_neon_bands_1x2, 1, 2
Bands tfprune_neon_bands_1x1, 1, 1

.section .note.GNU-stack, "", %progbits
#endif
