// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/tuning_cache.h"

#include <stdio.h>
#include <string.h>

#include "tflite_ops/base/crc32.h"

namespace tfprune {
namespace {

constexpr char kFirstLine[] = "tfprune tuning 1\n";
constexpr char kMark[] = "tfprune tuning ";  // of every version
constexpr size_t kFirstLineBytes = sizeof(kFirstLine) - 1;
constexpr size_t kLastLineBytes = 13;                        // "end 01234567\n"
constexpr size_t kLineBytes = kTuningKeyBytes + 2 * 11 + 2;  // the longest entry
static_assert(kFirstLineBytes + kMaxTuningEntries * kLineBytes + kLastLineBytes <= kMaxTuningBytes, "");

// Reads digits at `*at` up to `end` and moves behind them; false without a digit or beyond 32 bits.
bool ReadNumber(const char** at, const char* end, uint32_t* number) {
  uint64_t value = 0;
  const char* start = *at;
  for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
    value = value * 10 + static_cast<uint64_t>(**at - '0');
    if (value > UINT32_MAX) return false;
  }
  *number = static_cast<uint32_t>(value);
  return *at > start;
}

// A line without its end: "<key>: <first> <second>".
bool ReadLine(const char* line, const char* end, TuningKey* key, TuningChoice* choice) {
  const char* colon = static_cast<const char*>(memchr(line, ':', static_cast<size_t>(end - line)));
  if (colon == nullptr || colon == line || static_cast<size_t>(colon - line) >= kTuningKeyBytes) return false;
  for (const char* c = line; c < colon; ++c) {
    if (*c < ' ' || *c > '~') return false;
  }
  memset(key->text, 0, sizeof(key->text));
  memcpy(key->text, line, static_cast<size_t>(colon - line));
  const char* at = colon + 1;
  if (at == end || *at++ != ' ' || !ReadNumber(&at, end, &choice->first)) return false;
  return at < end && *at++ == ' ' && ReadNumber(&at, end, &choice->second) && at == end;
}

}  // namespace

TuningCache::TuningCache() { pthread_mutex_init(&mutex_, nullptr); }

TuningCache::~TuningCache() { pthread_mutex_destroy(&mutex_); }

Status TuningCache::Open(const char* path) {
  if (!entries_.Reserve(kMaxTuningEntries)) return Error("tuning: no memory for the cache");
  TFPRUNE_RETURN_IF_ERROR(file_.SetPath(path, "tuning", kMark, kMaxTuningBytes));
  ready_ = true;
  AlignedArray<char> text;
  size_t length = 0;
  bool replaceable = false;
  TFPRUNE_RETURN_IF_ERROR(file_.Read(&text, &length, &replaceable));
  return length == 0 ? Status{} : Merge(text.data(), length);
}

// Adds the entries of a file whose keys are not there yet; all of them or none. A file that this cache read or wrote
// before has them in the order of its entries, so the next one is looked for behind the one before.
Status TuningCache::Merge(const char* text, size_t length) {
  if (length < kFirstLineBytes || memcmp(text, kFirstLine, kFirstLineBytes) != 0) {
    return Error("tuning: `%.150s` is not a tuning cache of this version", file_.path());
  }
  const Status damaged = Error("tuning: the cache `%.150s` is damaged", file_.path());
  if (length < kFirstLineBytes + kLastLineBytes) return damaged;
  const char *begin = text + kFirstLineBytes, *end = text + length - kLastLineBytes;
  char last[kLastLineBytes + 1];
  snprintf(last, sizeof(last), "end %08x\n", Crc32(text, static_cast<size_t>(end - text)));
  if (memcmp(end, last, kLastLineBytes) != 0 || end[-1] != '\n') return damaged;
  uint32_t place = 0;
  for (int pass = 0; pass < 2; ++pass) {
    for (const char* line = begin; line < end;) {
      const char* stop = static_cast<const char*>(memchr(line, '\n', static_cast<size_t>(end - line)));
      Entry entry;
      if (!ReadLine(line, stop, &entry.key, &entry.choice)) return damaged;
      if (pass == 1) {
        place = PlaceOf(entry.key, place);
        if (place == count_) Append(entry);
        ++place;
      }
      line = stop + 1;
    }
  }
  return {};
}

uint32_t TuningCache::PlaceOf(const TuningKey& key, uint32_t guess) const {
  if (guess < count_ && strcmp(entries_[guess].key.text, key.text) == 0) return guess;
  uint32_t place = 0;
  while (place < count_ && strcmp(entries_[place].key.text, key.text) != 0) ++place;
  return place;
}

void TuningCache::Append(const Entry& entry) {
  if (count_ == kMaxTuningEntries) {
    memmove(entries_.data(), entries_.data() + 1, (kMaxTuningEntries - 1) * sizeof(Entry));
    --count_;
  }
  entries_[count_++] = entry;
}

bool TuningCache::Find(const TuningKey& key, TuningChoice* choice) {
  pthread_mutex_lock(&mutex_);
  const uint32_t place = PlaceOf(key, 0);
  const bool found = place < count_;
  if (found) *choice = entries_[place].choice;
  pthread_mutex_unlock(&mutex_);
  return found;
}

Status TuningCache::Store(const TuningKey& key, const TuningChoice& choice) {
  if (!ready_) return Error("tuning: no memory for the cache");
  pthread_mutex_lock(&mutex_);
  AlignedArray<char> text;
  size_t length = 0;
  bool replaceable = false;
  Status status = file_.Read(&text, &length, &replaceable);
  if (status.ok() && length > 0) Merge(text.data(), length);
  const uint32_t place = PlaceOf(key, 0);
  if (place < count_) {
    entries_[place].choice = choice;
  } else {
    Append({key, choice});
  }
  if (replaceable) status = Write();
  pthread_mutex_unlock(&mutex_);
  return status;
}

Status TuningCache::Write() {
  AlignedArray<char> text;
  if (!text.Reserve(kMaxTuningBytes)) return Error("tuning: no memory for the cache");
  char* at = text.data();
  at += snprintf(at, kFirstLineBytes + 1, "%s", kFirstLine);
  for (uint32_t i = 0; i < count_; ++i) {
    at += snprintf(at, kLineBytes + 1, "%s: %u %u\n", entries_[i].key.text, entries_[i].choice.first,
                   entries_[i].choice.second);
  }
  at += snprintf(at, kLastLineBytes + 1, "end %08x\n", Crc32(text.data(), static_cast<size_t>(at - text.data())));
  return file_.Replace(text.data(), static_cast<size_t>(at - text.data()));
}

}  // namespace tfprune
