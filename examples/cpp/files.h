// SPDX-License-Identifier: Apache-2.0
// Raw values in files.
#ifndef TFPRUNE_EXAMPLES_CPP_FILES_H_
#define TFPRUNE_EXAMPLES_CPP_FILES_H_

#include <stddef.h>
#include <stdio.h>

// Reads a file of exactly so many bytes.
inline bool Read(const char* path, void* values, size_t size) {
  FILE* file = fopen(path, "rb");
  if (file == nullptr) return false;
  const bool whole = fread(values, 1, size, file) == size && fgetc(file) == EOF;
  fclose(file);
  return whole;
}

inline bool Write(const char* path, const void* values, size_t size) {
  FILE* file = fopen(path, "wb");
  if (file == nullptr) return false;
  const bool written = fwrite(values, 1, size, file) == size;
  return fclose(file) == 0 && written;
}

#endif  // TFPRUNE_EXAMPLES_CPP_FILES_H_
