// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/delegate/options.h"

#include <gtest/gtest.h>

#include <string>

namespace tfprune {
namespace {

Status Parse(const char* key, const char* value, Options* options) { return ParseOptions(&key, &value, 1, options); }

TEST(Options, AutoAndNothingMeanTheDetectedArch) {
  Options options;
  EXPECT_TRUE(ParseOptions(nullptr, nullptr, 0, &options).ok());
  EXPECT_EQ(options.arch, DetectedArch());
  EXPECT_TRUE(Parse("arch", "auto", &options).ok());
  EXPECT_EQ(options.arch, DetectedArch());
}

TEST(Options, TheReferenceRunsEverywhere) {
  Options options;
  EXPECT_TRUE(Parse("arch", "reference", &options).ok());
  EXPECT_EQ(options.arch, Arch::kReference);
}

TEST(Options, WhatDoesNotExistIsNamed) {
  Options options;
  EXPECT_NE(std::string(Parse("treads", "2", &options).message).find("'treads' does not exist"), std::string::npos);
  EXPECT_NE(std::string(Parse("arch", "mmx", &options).message).find("got 'mmx'"), std::string::npos);
}

TEST(Options, AnArchOfAnotherMachineIsRefused) {
  Options options;
#if defined(__x86_64__)
  const Status status = Parse("arch", "neon", &options);
#else
  const Status status = Parse("arch", "avx2", &options);
#endif
  EXPECT_NE(std::string(status.message).find("does not run on this machine"), std::string::npos) << status.message;
}

TEST(Options, TuneAndItsCacheComeTogether) {
  const char* const keys[] = {"tune_cache", "tune"};
  const char* values[] = {"/tmp/cache.txt", "1"};
  Options options;
  EXPECT_TRUE(ParseOptions(keys, values, 2, &options).ok());
  EXPECT_TRUE(options.tune);
  EXPECT_STREQ(options.tune_cache, "/tmp/cache.txt");
  values[1] = "0";
  Options off, alone, empty, word;
  EXPECT_NE(std::string(ParseOptions(keys, values, 2, &off).message).find("tune_cache is for tune=1 only"),
            std::string::npos);
  EXPECT_NE(std::string(Parse("tune", "1", &alone).message).find("tune=1 needs tune_cache"), std::string::npos);
  values[0] = "", values[1] = "1";
  EXPECT_NE(std::string(ParseOptions(keys, values, 2, &empty).message).find("tune=1 needs tune_cache"),
            std::string::npos);
  EXPECT_NE(std::string(Parse("tune", "yes", &word).message).find("tune must be 0 or 1, got 'yes'"), std::string::npos);
}

TEST(Options, ThreadsAreTheInterpretersUnlessGiven) {
  Options options;
  EXPECT_TRUE(ParseOptions(nullptr, nullptr, 0, &options).ok());
  EXPECT_EQ(options.threads, 0u);
  EXPECT_TRUE(Parse("threads", "64", &options).ok());
  EXPECT_EQ(options.threads, 64u);
  EXPECT_TRUE(Parse("threads", "auto", &options).ok());
  EXPECT_EQ(options.threads, 0u);
  for (const char* value : {"0", "65", "-1", "", " 2", "2x", "two", "99999999999999999999"}) {
    EXPECT_EQ(std::string(Parse("threads", value, &options).message),
              std::string("tfprune delegate: threads must be auto or a number from 1 to 64, got '") + value + "'");
  }
}

TEST(Options, PrecisionIsF32UnlessAskedFor) {
  Options options;
  EXPECT_TRUE(ParseOptions(nullptr, nullptr, 0, &options).ok());
  EXPECT_EQ(options.precision, Precision::kF32);
  EXPECT_TRUE(Parse("precision", "f32", &options).ok());
  EXPECT_EQ(options.chains, DetectedArch() != Arch::kReference);
  EXPECT_NE(std::string(Parse("precision", "f64", &options).message).find("f32 or f16, got 'f64'"), std::string::npos);
}

TEST(Options, ProgramCacheNamesAFolder) {
  Options options;
  const char *keys[] = {"backend", "program_cache"}, *values[] = {"gpu", "/data/cache"};
  EXPECT_TRUE(ParseOptions(keys, values, 2, &options).ok());
  EXPECT_STREQ(options.gpu.program_cache, "/data/cache");
  values[1] = "";
  EXPECT_STREQ(ParseOptions(keys, values, 2, &options).message,
               "tfprune delegate: program_cache must name a folder, got an empty path");
}

// Whatever the machine: taken without chains, or refused with a sentence that says what is missing.
TEST(Options, PrecisionF16NeedsTheArithmetic) {
  Options options;
  const Status status = Parse("precision", "f16", &options);
  if (HasHalfArithmetic()) {
    EXPECT_TRUE(status.ok()) << status.message;
    EXPECT_EQ(options.precision, Precision::kF16);
    EXPECT_FALSE(options.chains);
    const char *tuned[] = {"precision", "tune", "tune_cache"}, *wanted[] = {"f16", "1", "/tmp/cache.txt"};
    EXPECT_NE(std::string(ParseOptions(tuned, wanted, 3, &options).message).find("tune=1 is for precision=f32"),
              std::string::npos);
    const char *keys[] = {"precision", "arch"}, *values[] = {"f16", "reference"};
    const Status reference = ParseOptions(keys, values, 2, &options);
    EXPECT_NE(std::string(reference.message).find("needs an arch of NEON"), std::string::npos);
  } else {
    EXPECT_NE(std::string(status.message).find("half-precision arithmetic"), std::string::npos) << status.message;
  }
}

}  // namespace
}  // namespace tfprune
