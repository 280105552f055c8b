// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/benchmark/arguments.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tfprune {
namespace {

class ArgumentsTest : public testing::Test {
 protected:
  Status Parse(std::vector<std::string> values) {
    values_ = std::move(values);
    std::vector<char*> pointers;
    for (std::string& value : values_) pointers.push_back(&value[0]);
    arguments_ = {};
    return ParseArguments(pointers.data(), pointers.size(), &arguments_);
  }

  void ExpectRefused(std::vector<std::string> values, const char* part) {
    const Status status = Parse(std::move(values));
    EXPECT_NE(std::string(status.message).find(part), std::string::npos) << "'" << status.message << "'";
  }

  std::vector<std::string> values_;
  Arguments arguments_;
};

TEST_F(ArgumentsTest, EverythingCanBeGiven) {
  const Status status =
      Parse({"--runtime=/a/r.so", "--delegate=d.so", "--option=arch=neon", "a.tflite", "--cpus=F0",
             "--option=tune_cache=a=b", "--threads=4", "--seconds=1.5", "--sample=0.25", "--warm_up=0",
             "--tolerance=1e-2", "--seed=7", "--xnnpack=0", "--compare=0", "b.tflite"});
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_STREQ(arguments_.runtime, "/a/r.so");
  EXPECT_STREQ(arguments_.delegate, "d.so");
  ASSERT_EQ(arguments_.option_count, 2u);
  EXPECT_STREQ(arguments_.keys[0], "arch");
  EXPECT_STREQ(arguments_.values[0], "neon");
  EXPECT_STREQ(arguments_.keys[1], "tune_cache");
  EXPECT_STREQ(arguments_.values[1], "a=b");
  EXPECT_EQ(arguments_.cpus, 0xf0u);
  EXPECT_EQ(arguments_.threads, 4);
  EXPECT_EQ(arguments_.seconds, 1.5);
  EXPECT_EQ(arguments_.sample_seconds, 0.25);
  EXPECT_EQ(arguments_.warm_up_seconds, 0);
  EXPECT_EQ(arguments_.tolerance, 1e-2);
  EXPECT_EQ(arguments_.seed, 7u);
  EXPECT_FALSE(arguments_.xnnpack);
  EXPECT_FALSE(arguments_.compare);
  ASSERT_EQ(arguments_.model_count, 2u);
  EXPECT_STREQ(arguments_.models[0], "a.tflite");
  EXPECT_STREQ(arguments_.models[1], "b.tflite");
}

TEST_F(ArgumentsTest, SamplesAreLongWithSeveralThreads) {
  ASSERT_TRUE(Parse({"a"}).ok());
  EXPECT_EQ(arguments_.sample_seconds, 0.001);
  EXPECT_TRUE(arguments_.compare);
  ASSERT_TRUE(Parse({"a", "--threads=2"}).ok());
  EXPECT_EQ(arguments_.sample_seconds, 0.05);
}

TEST_F(ArgumentsTest, AGpuIsForEveryModel) {
  ASSERT_TRUE(Parse({"a", "--delegate=d", "--option=arch=auto"}).ok());
  EXPECT_FALSE(arguments_.every_model());
  ASSERT_TRUE(Parse({"a", "--delegate=d", "--option=backend=cpu"}).ok());
  EXPECT_FALSE(arguments_.every_model());
  ASSERT_TRUE(Parse({"a", "--delegate=d", "--option=arch=auto", "--option=backend=gpu"}).ok());
  EXPECT_TRUE(arguments_.every_model());
}

TEST_F(ArgumentsTest, FactsAreThoseOfNoModel) {
  ASSERT_TRUE(Parse({"--facts", "--delegate=d"}).ok());
  EXPECT_TRUE(arguments_.facts);
  ExpectRefused({"--facts", "a"}, "--facts is for no model");
}

TEST_F(ArgumentsTest, HelpAndVersionNeedNoModel) {
  EXPECT_TRUE(Parse({"--help"}).ok());
  EXPECT_TRUE(arguments_.help);
  EXPECT_TRUE(Parse({"--version"}).ok());
  EXPECT_TRUE(arguments_.version);
}

TEST_F(ArgumentsTest, MistakesAreNamed) {
  ExpectRefused({}, "at least one model");
  ExpectRefused({"--treads=2", "a"}, "'--treads=2' is no option");
  ExpectRefused({"--threads", "a"}, "'--threads' is no option");
  ExpectRefused({"--threads=0", "a"}, "--threads must be a number from 1 to 1024, got '0'");
  ExpectRefused({"--threads=2000", "a"}, "got '2000'");
  ExpectRefused({"--threads=1.5", "a"}, "--threads must be a whole number, got '1.5'");
  ExpectRefused({"--seconds=fast", "a"}, "--seconds must be a number from 0 to 3600, got 'fast'");
  ExpectRefused({"--seconds=", "a"}, "got ''");
  ExpectRefused({"--seconds=nan", "a"}, "got 'nan'");
  ExpectRefused({"--sample=0", "a"}, "--sample must be a number");
  ExpectRefused({"--xnnpack=2", "a"}, "--xnnpack");
  ExpectRefused({"--option=arch=auto", "a"}, "give --delegate=PATH");
  ExpectRefused({"--option=arch", "--delegate=d", "a"}, "--option must be KEY=VALUE, got 'arch'");
  ExpectRefused({"--option==x", "--delegate=d", "a"}, "got '=x'");
  for (const char* mask : {"0", "", "-1", "g0", "0x", "11111111111111111"}) {
    ExpectRefused({std::string("--cpus=") + mask, "a"}, "--cpus must be a hexadecimal mask");
  }
}

TEST_F(ArgumentsTest, TooManyAreRefused) {
  ExpectRefused(std::vector<std::string>(kMostModels + 1, "a"), "at most 64 models");
  std::vector<std::string> options(kMostOptions + 1, "--option=k=v");
  options.insert(options.end(), {"--delegate=d", "a"});
  ExpectRefused(options, "--option: at most 16");
}

}  // namespace
}  // namespace tfprune
