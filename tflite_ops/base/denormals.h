// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BASE_DENORMALS_H_
#define TFPRUNE_BASE_DENORMALS_H_

#include <stdint.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace tfprune {

// While one lives, its thread takes numbers too small for a normal float32 as zero, read or computed, as XNNPACK does
// while it works: such numbers are tens of times slower on some processors. Keeps what the thread had before.
class FlushDenormals {
 public:
  FlushDenormals() : before_(Read()) { Write(before_ | kFlush); }
  ~FlushDenormals() { Write(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__SSE2__)
  using Control = uint32_t;
  static constexpr Control kFlush = 0x8040;  // results and inputs
  static Control Read() { return _mm_getcsr(); }
  static void Write(Control control) { _mm_setcsr(control); }
#elif defined(__aarch64__)
  using Control = uint64_t;
  static constexpr Control kFlush = (1u << 24) | (1u << 19);  // float32, float16
  static Control Read() {
    Control control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return control;
  }
  static void Write(Control control) { __asm__ volatile("msr fpcr, %0" ::"r"(control)); }
#elif defined(__ARM_FP)
  using Control = uint32_t;
  static constexpr Control kFlush = 1u << 24;
  static Control Read() {
    Control control;
    __asm__ volatile("vmrs %0, fpscr" : "=r"(control));
    return control;
  }
  static void Write(Control control) { __asm__ volatile("vmsr fpscr, %0" ::"r"(control)); }
#else
  using Control = uint32_t;
  static constexpr Control kFlush = 0;
  static Control Read() { return 0; }
  static void Write(Control) {}
#endif

  const Control before_;
};

}  // namespace tfprune

#endif  // TFPRUNE_BASE_DENORMALS_H_
