// SPDX-License-Identifier: Apache-2.0
// The file under a cache: read as a whole and replaced as a whole, and never taken from anybody else.
#ifndef TFPRUNE_BASE_CACHE_FILE_H_
#define TFPRUNE_BASE_CACHE_FILE_H_

#include <stddef.h>

#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"

namespace tfprune {

class CacheFile {
 public:
  CacheFile() = default;
  CacheFile(const CacheFile&) = delete;
  CacheFile& operator=(const CacheFile&) = delete;
  // Waits for the disk, once for all that was written: a file may be replaced many times.
  ~CacheFile();

  // Remembers the path; of a symbolic link what it leads to. `kind` names the cache in errors ("tuning"), `mark` is how
  // every file starts that may be replaced, and `most` the bytes of the largest; the texts outlive the object.
  Status SetPath(const char* path, const char* kind, const char* mark, size_t most);

  // Reads the file; one that is not there has no bytes. An error says why there is nothing to use. `replaceable`:
  // whether Replace may follow, that is, nothing is there, or a regular file that is empty or starts with the mark.
  Status Read(AlignedArray<char>* text, size_t* length, bool* replaceable) const;

  // Writes a new file beside the old one and gives it the old one's name. A power cut soon after may lose it.
  Status Replace(const char* text, size_t length);

  const char* path() const { return path_.data(); }

 private:
  Status ReadRegular(AlignedArray<char>* text, size_t room, size_t* length, bool* replaceable) const;

  AlignedArray<char> path_, fresh_path_;
  const char* kind_ = "";
  const char* mark_ = "";
  size_t most_ = 0;
  bool unsynced_ = false;
};

}  // namespace tfprune

#endif  // TFPRUNE_BASE_CACHE_FILE_H_
