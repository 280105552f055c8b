// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/base/cache_file.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tfprune {
namespace {

// As lstat, which has no symbol of its own in glibc before 2.33. The kernel's structure is the C library's where sizes
// of files have 64 bits.
#if defined(SYS_newfstatat)
constexpr long kStatusCall = SYS_newfstatat;
#else
constexpr long kStatusCall = SYS_fstatat64;
#endif
static_assert(sizeof(off_t) == 8, "struct stat may differ from the kernel's: compile with _FILE_OFFSET_BITS=64");
bool StatusOf(const char* path, struct stat* found) {
  return syscall(kStatusCall, AT_FDCWD, path, found, AT_SYMLINK_NOFOLLOW) == 0;
}

bool WriteAll(int file, const char* text, size_t length) {
  while (length > 0) {
    const ssize_t written = write(file, text, length);
    if (written <= 0) return false;
    text += written;
    length -= static_cast<size_t>(written);
  }
  return true;
}

}  // namespace

CacheFile::~CacheFile() {
  if (!unsynced_) return;
  const int file = open(path(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return;
  fsync(file);
  close(file);
}

Status CacheFile::SetPath(const char* path, const char* kind, const char* mark, size_t most) {
  kind_ = kind;
  mark_ = mark;
  most_ = most;
  char* resolved = realpath(path, nullptr);  // null where there is no such file yet
  const char* used = resolved != nullptr ? resolved : path;
  const size_t length = strlen(used);
  const bool room = path_.Reserve(length + 1) && fresh_path_.Reserve(length + 64);
  if (room) {
    memcpy(path_.data(), used, length + 1);
    // Beside the file, and no other cache's: the process and the object make the name.
    snprintf(fresh_path_.data(), length + 64, "%s.%d.%llx.new", used, static_cast<int>(getpid()),
             static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(this)));
  }
  free(resolved);
  return room ? Status{} : Error("%s: no memory for the cache", kind_);
}

Status CacheFile::Read(AlignedArray<char>* text, size_t* length, bool* replaceable) const {
  *length = 0;
  struct stat found;
  *replaceable = !StatusOf(path(), &found);
  if (*replaceable) return {};
  // A link here leads nowhere, or took the file's place since SetPath.
  if (!S_ISREG(found.st_mode)) return Error("%s: `%.150s` is no regular file; give another path", kind_, path());
  const size_t size = static_cast<size_t>(found.st_size), room = size < most_ ? size : most_;
  if (!text->Reserve(room + 1)) return Error("%s: no memory for the cache", kind_);
  return ReadRegular(text, room, length, replaceable);
}

Status CacheFile::ReadRegular(AlignedArray<char>* text, size_t room, size_t* length, bool* replaceable) const {
  // O_NONBLOCK: should a pipe have taken its place, the load must not stop.
  const int file = open(path(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return Error("%s: the cache `%.150s` cannot be read", kind_, path());
  size_t got = 0;
  ssize_t part = 1;
  while (part > 0 && got <= room) {
    part = read(file, text->data() + got, room + 1 - got);
    if (part > 0) got += static_cast<size_t>(part);
  }
  close(file);
  if (part < 0) return Error("%s: the cache `%.150s` cannot be read", kind_, path());
  const size_t start = strlen(mark_);
  *replaceable = got == 0 || (got >= start && memcmp(text->data(), mark_, start) == 0);
  if (!*replaceable) return Error("%s: `%.150s` is not a %s cache; give another path", kind_, path(), kind_);
  if (got > most_) return Error("%s: the cache `%.150s` is larger than %zu bytes", kind_, path(), most_);
  if (got > room) return Error("%s: the cache `%.150s` grew while it was read", kind_, path());
  if (got == 0) return Error("%s: the cache `%.150s` is empty", kind_, path());
  *length = got;
  return {};
}

Status CacheFile::Replace(const char* text, size_t length) {
  const Status failed = Error("%s: the cache `%.150s` cannot be written", kind_, path());
  const int file = open(fresh_path_.data(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file < 0) return failed;
  bool done = WriteAll(file, text, length);
  done = close(file) == 0 && done;
  if (done && rename(fresh_path_.data(), path()) == 0) {
    unsynced_ = true;
    return {};
  }
  unlink(fresh_path_.data());
  return failed;
}

}  // namespace tfprune
