// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/plain_text.h"

#include <stdint.h>
#include <string.h>

namespace tfprune {
namespace {

// Bytes of the character that starts at `at`, which a zero ends; 0 where none does. The second byte's range leaves out
// longer forms of smaller characters, halves of surrogate pairs and what is beyond U+10FFFF.
uint32_t CharacterBytes(const unsigned char* at) {
  const unsigned char first = at[0];
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const uint32_t count = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  const unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (at[1] < low || at[1] > high) return 0;
  for (uint32_t i = 2; i < count; ++i) {
    if (at[i] < 0x80 || at[i] > 0xBF) return 0;
  }
  return count;
}

// C0, DEL and C1.
bool IsControl(const unsigned char* at) { return at[0] < ' ' || at[0] == 0x7F || (at[0] == 0xC2 && at[1] < 0xA0); }

}  // namespace

void MakePlain(char* text) {
  unsigned char* at = reinterpret_cast<unsigned char*>(text);
  while (*at != 0) {
    const uint32_t count = CharacterBytes(at);
    const bool keep = count > 0 && !IsControl(at);
    const uint32_t bytes = count > 0 ? count : 1;
    if (!keep) memset(at, '?', bytes);
    at += bytes;
  }
}

}  // namespace tfprune
