// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/opencl/program_cache.h"

#include <stdio.h>
#include <string.h>

#include "tflite_ops/base/cache_file.h"
#include "tflite_ops/base/crc32.h"
#include "tflite_ops/base/hash.h"
#include "tflite_ops/base/version.h"

namespace tfprune {
namespace {

constexpr char kMark[] = "tfprune gpu program 1\n";
constexpr size_t kMarkBytes = sizeof(kMark) - 1;

struct Sizes {
  uint32_t key_bytes, binary_bytes;
};
constexpr size_t kCrcEnd = kMarkBytes + sizeof(uint32_t);
constexpr size_t kHeaderBytes = kCrcEnd + sizeof(Sizes);

}  // namespace

// The file of one program.
struct ProgramCache::Entry {
  CacheFile file;
  char key[1024];
  uint32_t key_bytes = 0;
  bool replaceable = false;
};

Status ProgramCache::SetFolder(const char* folder) {
  const size_t bytes = strlen(folder) + 1;
  if (!folder_.Reserve(bytes)) return Error("gpu program: no memory for the cache");
  memcpy(folder_.data(), folder, bytes);
  return {};
}

Status ProgramCache::Open(const Context& context, const ProgramSource& source, Entry* entry) const {
  uint64_t hash = kHashStart;
  size_t length = 0;
  for (uint32_t i = 0; i < source.piece_count; ++i) {
    const size_t piece = strlen(source.pieces[i]);
    hash = Hash64(source.pieces[i], piece, hash);
    length += piece;
  }
  const DeviceFacts& facts = context.facts();
  const int written = snprintf(entry->key, sizeof(entry->key), "%s\n%s\n%s\n%s\n%s\n%s\n%s\n%zu %016llx\n",
                               TFPRUNE_VERSION, facts.platform, facts.name, facts.vendor, facts.version, facts.driver,
                               source.options, length, static_cast<unsigned long long>(hash));
  if (written < 0 || static_cast<size_t>(written) >= sizeof(entry->key)) {
    return Error("gpu program: build options of %zu bytes are too long for the cache", strlen(source.options));
  }
  entry->key_bytes = static_cast<uint32_t>(written);
  const size_t room = strlen(folder_.data()) + 64;
  AlignedArray<char> path;
  if (!path.Reserve(room)) return Error("gpu program: no memory for the cache");
  snprintf(path.data(), room, "%s/tfprune_%016llx.clprogram", folder_.data(),
           static_cast<unsigned long long>(Hash64(entry->key, entry->key_bytes)));
  return entry->file.SetPath(path.data(), "gpu program", kMark, kMaxProgramFileBytes);
}

// `found` says whether there was a file; an error why it was of no use.
Status ProgramCache::TryLoad(const Context& context, const char* options, Entry* entry, Program* program,
                             bool* found) const {
  AlignedArray<char> text;
  size_t length = 0;
  const Status read = entry->file.Read(&text, &length, &entry->replaceable);
  *found = !read.ok() || length > 0;
  if (!read.ok() || length == 0) return read;
  const Status damaged = Error("gpu program: the cache `%.150s` is damaged", entry->file.path());
  if (length < kHeaderBytes) return damaged;
  uint32_t crc = 0;
  Sizes sizes;
  memcpy(&crc, text.data() + kMarkBytes, sizeof(crc));
  memcpy(&sizes, text.data() + kCrcEnd, sizeof(sizes));
  if (crc != Crc32(text.data() + kCrcEnd, length - kCrcEnd)) return damaged;
  if (length != kHeaderBytes + uint64_t{sizes.key_bytes} + sizes.binary_bytes) return damaged;
  const char* key = text.data() + kHeaderBytes;
  if (sizes.key_bytes != entry->key_bytes || memcmp(key, entry->key, entry->key_bytes) != 0) {
    return Error("gpu program: the cache `%.150s` holds another program", entry->file.path());
  }
  return program->Load(context, key + sizes.key_bytes, sizes.binary_bytes, options);
}

Status ProgramCache::Store(const Program& program, Entry* entry) const {
  if (!entry->replaceable) return {};  // TryLoad has told why
  AlignedArray<char> binary, text;
  size_t bytes = 0;
  TFPRUNE_RETURN_IF_ERROR(program.Binary(&binary, &bytes));
  if (kHeaderBytes + uint64_t{entry->key_bytes} + bytes > kMaxProgramFileBytes)
    return Error("gpu program: a program of %zu bytes is too large to keep", bytes);
  const size_t length = kHeaderBytes + entry->key_bytes + bytes;
  if (!text.Reserve(length)) return Error("gpu program: no memory for the cache");
  const Sizes sizes = {entry->key_bytes, static_cast<uint32_t>(bytes)};
  memcpy(text.data(), kMark, kMarkBytes);
  memcpy(text.data() + kCrcEnd, &sizes, sizeof(sizes));
  memcpy(text.data() + kHeaderBytes, entry->key, entry->key_bytes);
  memcpy(text.data() + kHeaderBytes + entry->key_bytes, binary.data(), bytes);
  const uint32_t crc = Crc32(text.data() + kCrcEnd, length - kCrcEnd);
  memcpy(text.data() + kMarkBytes, &crc, sizeof(crc));
  return entry->file.Replace(text.data(), length);
}

Status ProgramCache::Get(const Context& context, const ProgramSource& source, Program* program, ProgramOrigin* origin) {
  *origin = ProgramOrigin::kCompiled;
  if (folder_.data() == nullptr) return program->Compile(context, source);
  Entry entry;
  const Status opened = Open(context, source, &entry);
  if (!opened.ok()) {
    problem_ = opened;
    return program->Compile(context, source);
  }
  bool found = false;
  const Status loaded = TryLoad(context, source.options, &entry, program, &found);
  if (loaded.ok() && found) {
    *origin = ProgramOrigin::kLoaded;
    return {};
  }
  if (!loaded.ok()) problem_ = loaded;
  if (found) *origin = ProgramOrigin::kRebuilt;
  TFPRUNE_RETURN_IF_ERROR(program->Compile(context, source));
  const Status stored = Store(*program, &entry);
  if (!stored.ok()) problem_ = stored;
  return {};
}

}  // namespace tfprune
