// SPDX-License-Identifier: Apache-2.0
// A qemu TCG plugin that counts the guest's instructions and prints "instructions N" on standard error at exit. Each time
// the guest calls getpriority(127, ...), which no program does by chance, it prints "mark N": the count up to there.
// Debian ships no header for plugins: the declarations below are the few that are used of qemu's plugin API, version 1.
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t PluginId;
struct qemu_plugin_tb;
struct qemu_info_t;

// The number of getpriority differs: aarch64, x86-64. The other's neighbour, setpriority, never gets 127 first.
enum { kInlineAddU64 = 0, kGetpriority = 141, kGetpriorityX86 = 140, kMark = 127 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(PluginId id, void (*callback)(PluginId, struct qemu_plugin_tb*));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb* block, int operation, void* counter,
                                                     uint64_t amount);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* block);
extern void qemu_plugin_register_vcpu_syscall_cb(PluginId id,
                                                 void (*callback)(PluginId, unsigned, int64_t, uint64_t, uint64_t,
                                                                  uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                                                  uint64_t));
extern void qemu_plugin_register_atexit_cb(PluginId id, void (*callback)(PluginId, void*), void* user_data);

EXPORTED int qemu_plugin_version = 1;

// Threads add to it without a lock, as qemu's inline operations do: run one thread where the count matters.
static uint64_t instructions;

static void OnTranslate(PluginId id, struct qemu_plugin_tb* block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline(block, kInlineAddU64, &instructions, qemu_plugin_tb_n_insns(block));
}

static void OnSyscall(PluginId id, unsigned cpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                      uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
  (void)id, (void)cpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
  const int asked = number == kGetpriority || number == kGetpriorityX86;
  if (asked && a1 == kMark) fprintf(stderr, "mark %" PRIu64 "\n", instructions);
}

static void OnExit(PluginId id, void* user_data) {
  (void)id;
  (void)user_data;
  fprintf(stderr, "instructions %" PRIu64 "\n", instructions);
}

EXPORTED int qemu_plugin_install(PluginId id, const struct qemu_info_t* info, int count, char** values) {
  (void)info;
  (void)count;
  (void)values;
  qemu_plugin_register_vcpu_tb_trans_cb(id, OnTranslate);
  qemu_plugin_register_vcpu_syscall_cb(id, OnSyscall);
  qemu_plugin_register_atexit_cb(id, OnExit, NULL);
  return 0;
}
