// SPDX-License-Identifier: Apache-2.0
// The file that keeps what tuning chose, so that a later load need not time anything.
//
//     tfprune tuning 1
//     <key>: <first> <second>        one line an entry, the oldest first
//     end <CRC-32 of everything before this line, 8 hexadecimal digits>
//
// A key is text of printable characters without a colon. A file that is not exactly this is ignored as a whole. The
// next Store replaces it where it is empty or starts with "tfprune tuning "; any other file stays as it is.
#ifndef TFPRUNE_OPS_TUNING_CACHE_H_
#define TFPRUNE_OPS_TUNING_CACHE_H_

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/cache_file.h"
#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"

namespace tfprune {

constexpr size_t kTuningKeyBytes = 104;         // with the closing zero
constexpr uint32_t kMaxTuningEntries = 2000;    // then the oldest go
constexpr size_t kMaxTuningBytes = 256 * 1024;  // of the file

struct TuningKey {
  char text[kTuningKeyBytes] = {0};
};

// Two numbers whose meaning is the key's.
struct TuningChoice {
  uint32_t first = 0, second = 0;
};

// May be used by several threads.
class TuningCache {
 public:
  TuningCache();
  ~TuningCache();
  TuningCache(const TuningCache&) = delete;
  TuningCache& operator=(const TuningCache&) = delete;

  // Reads the file at `path`; one that is not there is empty. An error says why its content is ignored; the cache works
  // all the same, unless there is no memory.
  Status Open(const char* path);

  bool Find(const TuningKey& key, TuningChoice* choice);
  // Keeps an entry and writes the file: a new one beside it, which then takes its name. Entries that another process
  // wrote meanwhile stay. An error says why the file is as it was; the entry can be found all the same.
  Status Store(const TuningKey& key, const TuningChoice& choice);

  uint32_t size() const { return count_; }

 private:
  struct Entry {
    TuningKey key;
    TuningChoice choice;
  };

  Status Merge(const char* text, size_t length);
  // Where a key is, looked for at `guess` first; count_ where it is not.
  uint32_t PlaceOf(const TuningKey& key, uint32_t guess) const;
  void Append(const Entry& entry);
  Status Write();

  CacheFile file_;
  bool ready_ = false;  // there was memory to open it
  AlignedArray<Entry> entries_;
  uint32_t count_ = 0;
  pthread_mutex_t mutex_;
};

}  // namespace tfprune

#endif  // TFPRUNE_OPS_TUNING_CACHE_H_
