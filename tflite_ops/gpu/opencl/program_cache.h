// SPDX-License-Identifier: Apache-2.0
// Compiled programs in a folder, so that a later start loads them.
//
// One file a program, `tfprune_<hash of the key, 16 hexadecimal digits>.clprogram`:
//
//     char mark[]       "tfprune gpu program 1\n"
//     u32  crc          CRC-32 of all bytes behind it
//     u32  key_bytes, binary_bytes
//     char key[key_bytes]
//     u8   binary[binary_bytes]
//
// in the machine's byte order. The key is the library's version, the platform's, the device's name, vendor and version,
// the driver's version, the build options, and length and hash of the source. A file that is not exactly this, or whose
// binary the driver refuses, is compiled anew and replaced. A file that does not start with the mark stays as it is.
#ifndef TFPRUNE_GPU_OPENCL_PROGRAM_CACHE_H_
#define TFPRUNE_GPU_OPENCL_PROGRAM_CACHE_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite_ops/base/memory.h"
#include "tflite_ops/base/status.h"
#include "tflite_ops/gpu/opencl/context.h"
#include "tflite_ops/gpu/opencl/program.h"

namespace tfprune {

constexpr size_t kMaxProgramFileBytes = size_t{64} << 20;

// Where a program came from. kRebuilt: there was a file, and it was of no use.
enum class ProgramOrigin : uint8_t { kCompiled, kLoaded, kRebuilt };

class ProgramCache {
 public:
  ProgramCache() = default;
  ProgramCache(const ProgramCache&) = delete;
  ProgramCache& operator=(const ProgramCache&) = delete;

  // The folder must exist when programs are stored. Without a call nothing is kept.
  Status SetFolder(const char* folder);

  // Loads the program, or compiles and stores it. Fails only where the compiler fails: trouble with the cache is told
  // by problem().
  Status Get(const Context& context, const ProgramSource& source, Program* program, ProgramOrigin* origin);

  // What went wrong last with the files, or success.
  const Status& problem() const { return problem_; }

 private:
  struct Entry;

  Status Open(const Context& context, const ProgramSource& source, Entry* entry) const;
  Status TryLoad(const Context& context, const char* options, Entry* entry, Program* program, bool* found) const;
  Status Store(const Program& program, Entry* entry) const;

  AlignedArray<char> folder_;
  Status problem_;
};

}  // namespace tfprune

#endif  // TFPRUNE_GPU_OPENCL_PROGRAM_CACHE_H_
