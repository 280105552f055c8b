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

TEST(Options, PrecisionIsF32UnlessAskedFor) {
  Options options;
  EXPECT_TRUE(ParseOptions(nullptr, nullptr, 0, &options).ok());
  EXPECT_EQ(options.precision, Precision::kF32);
  EXPECT_TRUE(Parse("precision", "f32", &options).ok());
  EXPECT_TRUE(options.chains);
  EXPECT_NE(std::string(Parse("precision", "f64", &options).message).find("f32 or f16, got 'f64'"), std::string::npos);
}

// Whatever the machine: taken without chains, or refused with a sentence that says what is missing.
TEST(Options, PrecisionF16NeedsTheArithmetic) {
  Options options;
  const Status status = Parse("precision", "f16", &options);
  if (HasHalfArithmetic()) {
    EXPECT_TRUE(status.ok()) << status.message;
    EXPECT_EQ(options.precision, Precision::kF16);
    EXPECT_FALSE(options.chains);
    const char *keys[] = {"precision", "arch"}, *values[] = {"f16", "reference"};
    const Status reference = ParseOptions(keys, values, 2, &options);
    EXPECT_NE(std::string(reference.message).find("needs arch neon or neon_dotprod"), std::string::npos);
  } else {
    EXPECT_NE(std::string(status.message).find("half-precision arithmetic"), std::string::npos) << status.message;
  }
}

}  // namespace
}  // namespace tfprune
