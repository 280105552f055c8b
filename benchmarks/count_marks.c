/* SPDX-License-Identifier: Apache-2.0
   A QEMU TCG plugin that counts the guest instructions executed. Each time the guest calls getpriority(0x7f, ...), which no
   program does by chance, it prints "INSTRUCTIONS n". The declarations follow QEMU 7.2's plugin interface, version 1,
   for which Debian ships no header. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EXPORT __attribute__((visibility("default")))
#define GETPRIORITY_AARCH64 141
#define MARK 0x7f
#define INLINE_ADD_U64 0

typedef uint64_t plugin_id;
struct block;

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*callback)(plugin_id, struct block*));
extern size_t qemu_plugin_tb_n_insns(const struct block* block);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct block* block, int op, void* counter, uint64_t amount);
extern void qemu_plugin_register_vcpu_syscall_cb(plugin_id id,
                                                 void (*callback)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t,
                                                                  uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));

EXPORT int qemu_plugin_version = 1;

static uint64_t executed;

static void on_translate(plugin_id id, struct block* block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline(block, INLINE_ADD_U64, &executed, qemu_plugin_tb_n_insns(block));
}

static void on_syscall(plugin_id id, unsigned cpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                       uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
  (void)id, (void)cpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
  if (number == GETPRIORITY_AARCH64 && a1 == MARK) fprintf(stderr, "INSTRUCTIONS %llu\n", (unsigned long long)executed);
}

EXPORT int qemu_plugin_install(plugin_id id, const void* info, int argc, char** argv) {
  (void)info, (void)argc, (void)argv;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
  qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
  return 0;
}
