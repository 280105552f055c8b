// SPDX-License-Identifier: Apache-2.0
// Where an aarch64 program starts that links against no start files: on Android its C library calls main, as the NDK's
// start file has it do; glibc is ready before this code runs, and has no such function.
#include <stdint.h>
#include <stdlib.h>

extern "C" {

int main(int count, char** values);

// Android's. `sections` are the arrays of functions to run at start and exit, of which a C program has none.
__attribute__((weak)) void __libc_init(void* raw_arguments, void (*on_exit)(void), int (*main)(int, char**),
                                       void* const* sections);

__attribute__((noreturn, used, visibility("hidden"))) void StartProgram(uintptr_t* stack) {
  static void* const kNoSections[8] = {};
  if (__libc_init != nullptr) __libc_init(stack, nullptr, main, kNoSections);
  exit(main(static_cast<int>(stack[0]), reinterpret_cast<char**>(stack + 1)));
}

}  // extern "C"

__asm__(
    ".text\n"
    ".globl _start\n"
    ".type _start, %function\n"
    "_start:\n"
    "  mov x29, #0\n"
    "  mov x30, #0\n"
    "  mov x0, sp\n"
    "  b StartProgram\n");
