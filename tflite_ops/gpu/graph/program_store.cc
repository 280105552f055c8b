// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/graph/program_store.h"

#include <stdio.h>
#include <string.h>

#include "tflite_ops/base/memory.h"
#include "tflite_ops/gpu/kernels/programs.h"

namespace tfprune {

struct ProgramStore::Entry {
  const EmbeddedProgram* embedded = nullptr;
  char options[kMaxOptionBytes] = {0};
  Program program;
  Entry* next = nullptr;
};

ProgramStore::~ProgramStore() {
  while (first_ != nullptr) {
    Entry* const next = first_->next;
    Destroy(first_);
    first_ = next;
  }
}

Status ProgramStore::Get(const Context& context, const char* name, const char* options, const Program** program) {
  const EmbeddedProgram* const embedded = FindProgram(name);
  if (embedded == nullptr) return Error("gpu: there is no program %.60s", name);
  for (const Entry* entry = first_; entry != nullptr; entry = entry->next) {
    if (entry->embedded == embedded && strcmp(entry->options, options) == 0) {
      *program = &entry->program;
      return {};
    }
  }
  Entry* const entry = Create<Entry>();
  if (entry == nullptr) return Error("gpu: no memory for the program %.60s", name);
  snprintf(entry->options, sizeof(entry->options), "%s", options);
  entry->embedded = embedded;
  ProgramOrigin origin = ProgramOrigin::kCompiled;
  const ProgramSource source = {embedded->pieces, embedded->piece_count, options};
  const Status status = cache_.Get(context, source, &entry->program, &origin);
  if (!status.ok()) {
    Destroy(entry);
    return status;
  }
  entry->next = first_;
  first_ = entry;
  ++count_;
  if (origin == ProgramOrigin::kLoaded) ++loaded_;
  *program = &entry->program;
  return {};
}

}  // namespace tfprune
