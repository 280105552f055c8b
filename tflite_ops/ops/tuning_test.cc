// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/tuning.h"

#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>
#include <string>

#include "tflite_ops/base/crc32.h"

namespace tfprune {
namespace {

class TuningFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/tuning_" + std::to_string(getpid());
    ASSERT_EQ(mkdir(folder_.c_str(), 0755), 0);
    path_ = folder_ + "/cache.txt";
  }
  void TearDown() override {
    unlink(path_.c_str());
    EXPECT_EQ(rmdir(folder_.c_str()), 0) << "something was left beside the file";
  }

  std::string Read() const {
    std::string text(2 * kMaxTuningBytes, '\0');
    FILE* file = fopen(path_.c_str(), "rb");
    if (file == nullptr) return "";
    text.resize(fread(&text[0], 1, text.size(), file));
    fclose(file);
    return text;
  }
  void Write(const std::string& text) const {
    FILE* file = fopen(path_.c_str(), "wb");
    ASSERT_NE(file, nullptr);
    ASSERT_EQ(fwrite(text.data(), 1, text.size(), file), text.size());
    fclose(file);
  }
  // With a right last line.
  void WriteSealed(const std::string& text) const {
    char last[32];
    snprintf(last, sizeof(last), "end %08x\n", Crc32(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
    Write(text + last);
  }

  std::string folder_, path_;
};

TuningKey Key(const std::string& text) {
  TuningKey key;
  snprintf(key.text, sizeof(key.text), "%s", text.c_str());
  return key;
}

void ExpectEntry(TuningCache* cache, const std::string& key, uint32_t first, uint32_t second) {
  TuningChoice choice;
  ASSERT_TRUE(cache->Find(Key(key), &choice)) << key;
  EXPECT_EQ(choice.first, first);
  EXPECT_EQ(choice.second, second);
}

std::string ProblemOf(const std::string& path) {
  TuningCache cache;
  const Status status = cache.Open(path.c_str());
  EXPECT_EQ(cache.size(), 0u);
  return status.message;
}

TEST_F(TuningFile, WhatWasStoredIsThereAgain) {
  TuningCache writer;
  ASSERT_TRUE(writer.Open(path_.c_str()).ok());
  ASSERT_TRUE(writer.Store(Key("a 1"), {64, 0}).ok());
  ASSERT_TRUE(writer.Store(Key("b 2"), {16, 4294967295u}).ok());
  ASSERT_TRUE(writer.Store(Key("a 1"), {32, 7}).ok());
  TuningCache reader;
  const Status status = reader.Open(path_.c_str());
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(reader.size(), 2u);
  ExpectEntry(&reader, "a 1", 32, 7);
  ExpectEntry(&reader, "b 2", 16, 4294967295u);
  TuningChoice choice;
  EXPECT_FALSE(reader.Find(Key("a"), &choice));
}

TEST_F(TuningFile, TwoCachesOfOneFileKeepEachOthersEntries) {
  TuningCache one, two;
  ASSERT_TRUE(one.Open(path_.c_str()).ok());
  ASSERT_TRUE(two.Open(path_.c_str()).ok());
  ASSERT_TRUE(one.Store(Key("one"), {1, 1}).ok());
  ASSERT_TRUE(two.Store(Key("two"), {2, 2}).ok());
  TuningCache reader;
  ASSERT_TRUE(reader.Open(path_.c_str()).ok());
  ExpectEntry(&reader, "one", 1, 1);
  ExpectEntry(&reader, "two", 2, 2);
}

TEST_F(TuningFile, EveryChangedByteAndEveryCutIsFound) {
  TuningCache writer;
  ASSERT_TRUE(writer.Open(path_.c_str()).ok());
  ASSERT_TRUE(writer.Store(Key("0.1.0 avx2 1 conv 1x7x7 01234567"), {64, 3}).ok());
  const std::string good = Read();
  ASSERT_EQ(ProblemOf(folder_ + "/none"), "");
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    Write(bad);
    ASSERT_NE(ProblemOf(path_), "") << "byte " << i;
    Write(good.substr(0, i));
    ASSERT_NE(ProblemOf(path_), "") << "cut at " << i;
  }
  Write(good + "\n");
  EXPECT_NE(ProblemOf(path_).find("damaged"), std::string::npos);
  EXPECT_TRUE(writer.Store(Key("again"), {1, 2}).ok());  // replaces what is damaged
  TuningCache reader;
  ASSERT_TRUE(reader.Open(path_.c_str()).ok());
  EXPECT_EQ(reader.size(), 2u);
}

TEST_F(TuningFile, LinesThatAreNoEntries) {
  const std::string first = "tfprune tuning 1\n", fine = "fine: 1 2\n";
  for (const std::string& line :
       {std::string(""), std::string("no colon 1 2"), std::string(": 1 2"), std::string("key: 1"),
        std::string("key:1 2"), std::string("key: 1 2 "), std::string("key: -1 2"), std::string("key: 4294967296 2"),
        std::string("key: a 2"), std::string("key: 1  2"), std::string("k\x01y: 1 2"), std::string("key\0: 1 2", 9),
        std::string(kTuningKeyBytes, 'k') + ": 1 2", std::string("key: ") + std::string(9000, '9') + " 2"}) {
    WriteSealed(first + fine + line + "\n");
    EXPECT_NE(ProblemOf(path_).find("damaged"), std::string::npos) << line;
  }
  WriteSealed(first + fine + std::string(kTuningKeyBytes - 1, 'k') + ": 1 2\n");
  TuningCache reader;
  EXPECT_TRUE(reader.Open(path_.c_str()).ok());
  EXPECT_EQ(reader.size(), 2u);
}

// What Open and Store say about the file.
void ExpectProblems(const std::string& path, const std::string& of_open, const std::string& of_store) {
  TuningCache cache;
  const std::string opened = cache.Open(path.c_str()).message;
  EXPECT_EQ(opened.empty(), of_open.empty()) << opened;
  EXPECT_NE(opened.find(of_open), std::string::npos) << opened;
  const std::string stored = cache.Store(Key("key"), {8, 9}).message;
  EXPECT_EQ(stored.empty(), of_store.empty()) << stored;
  EXPECT_NE(stored.find(of_store), std::string::npos) << stored;
  ExpectEntry(&cache, "key", 8, 9);  // all the same
}

TEST_F(TuningFile, OtherVersionsAndEmptyFilesAreReplaced) {
  WriteSealed("tfprune tuning 2\nkey: 1 2\n");
  ExpectProblems(path_, "not a tuning cache of this version", "");
  Write("");
  ExpectProblems(path_, "is empty", "");
  Write("tfprune tuning 1\n" + std::string(kMaxTuningBytes, 'x'));
  ExpectProblems(path_, "larger than 262144 bytes", "");
  EXPECT_EQ(Read().find("tfprune tuning 1\nkey: 8 9\nend "), 0u);
}

TEST_F(TuningFile, OtherPeoplesFilesStayAsTheyAre) {
  const std::string foreign = "is not a tuning cache; give another path";
  for (const std::string& content : {std::string("#!/bin/sh\n"), std::string(kMaxTuningBytes + 1, 'x'),
                                     std::string("tfprune tuning"), std::string(100, '\0')}) {
    Write(content);
    ExpectProblems(path_, foreign, foreign);
    EXPECT_EQ(Read(), content);
  }
  ExpectProblems(folder_, "no regular file; give another path", "no regular file");
  ExpectProblems("/dev/null", "no regular file; give another path", "no regular file");
  unlink(path_.c_str());
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  ExpectProblems(path_, "no regular file; give another path", "no regular file");
  struct stat found;
  ASSERT_EQ(lstat(path_.c_str(), &found), 0);
  EXPECT_TRUE(S_ISFIFO(found.st_mode));
}

TEST_F(TuningFile, AFileThatAppearsAfterOpenStaysToo) {
  TuningCache cache;
  ASSERT_TRUE(cache.Open(path_.c_str()).ok());
  Write("mine");
  EXPECT_FALSE(cache.Store(Key("key"), {1, 2}).ok());
  EXPECT_EQ(Read(), "mine");
}

TEST_F(TuningFile, ALinkIsFollowed) {
  const std::string link = folder_ + "/link";
  ASSERT_EQ(symlink("cache.txt", link.c_str()), 0);
  ExpectProblems(link, "no regular file", "no regular file");  // leads nowhere
  Write("");
  ExpectProblems(link, "is empty", "");
  EXPECT_EQ(Read().find("tfprune tuning 1\nkey: 8 9\n"), 0u);
  char target[32] = {0};
  EXPECT_EQ(readlink(link.c_str(), target, sizeof(target) - 1), 9);
  unlink(link.c_str());
}

TEST_F(TuningFile, RandomBytesNeverCrash) {
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    std::string text = i % 2 == 0 ? "tfprune tuning 1\n" : "";
    for (uint32_t k = random() % 400; k > 0; --k) text += "k: 1\n\xff"[random() % 6];
    WriteSealed(text);
    TuningCache cache;
    cache.Open(path_.c_str());
  }
}

TEST_F(TuningFile, AFullCacheDropsTheOldest) {
  std::string text = "tfprune tuning 1\n";
  for (uint32_t i = 0; i < kMaxTuningEntries; ++i) text += "key " + std::to_string(i) + ": 1 2\n";
  WriteSealed(text);
  TuningCache cache;
  ASSERT_TRUE(cache.Open(path_.c_str()).ok());
  ASSERT_EQ(cache.size(), kMaxTuningEntries);
  ASSERT_TRUE(cache.Store(Key("new"), {3, 4}).ok());
  TuningCache reader;
  ASSERT_TRUE(reader.Open(path_.c_str()).ok());
  EXPECT_EQ(reader.size(), kMaxTuningEntries);
  ExpectEntry(&reader, "new", 3, 4);
  TuningChoice choice;
  EXPECT_FALSE(reader.Find(Key("key 0"), &choice));
}

TEST_F(TuningFile, EntriesThatAnotherProcessReorderedAreMerged) {
  const std::string first = "tfprune tuning 1\n";
  WriteSealed(first + "a: 1 1\nb: 2 2\nc: 3 3\n");
  TuningCache cache;
  ASSERT_TRUE(cache.Open(path_.c_str()).ok());
  WriteSealed(first + "c: 9 9\nx: 4 4\na: 9 9\nb: 9 9\ny: 5 5\n");
  ASSERT_TRUE(cache.Store(Key("d"), {6, 6}).ok());
  EXPECT_EQ(Read().find(first + "a: 1 1\nb: 2 2\nc: 3 3\nx: 4 4\ny: 5 5\nd: 6 6\nend "), 0u) << Read();
  EXPECT_EQ(cache.size(), 6u);
}

TEST_F(TuningFile, AFullFileOfOthersLeavesRoomForTheNewest) {
  TuningCache cache;
  ASSERT_TRUE(cache.Open(path_.c_str()).ok());
  ASSERT_TRUE(cache.Store(Key("mine"), {1, 2}).ok());
  std::string text = "tfprune tuning 1\n";
  for (uint32_t i = 0; i < kMaxTuningEntries; ++i) text += "key " + std::to_string(i) + ": 1 2\n";
  WriteSealed(text);
  ASSERT_TRUE(cache.Store(Key("new"), {3, 4}).ok());
  TuningCache reader;
  ASSERT_TRUE(reader.Open(path_.c_str()).ok());
  EXPECT_EQ(reader.size(), kMaxTuningEntries);
  ExpectEntry(&reader, "new", 3, 4);
  ExpectEntry(&reader, "key 1999", 1, 2);
}

TEST_F(TuningFile, APathThatCannotBeWrittenIsAnErrorAndTheEntryStays) {
  TuningCache cache;
  ASSERT_TRUE(cache.Open((folder_ + "/missing/cache.txt").c_str()).ok());
  const Status status = cache.Store(Key("key"), {5, 6});
  EXPECT_NE(std::string(status.message).find("cannot be written"), std::string::npos);
  ExpectEntry(&cache, "key", 5, 6);
}

// A clock that runs work by work.
uint64_t now = 0;
uint64_t Clock() { return now; }

struct Work {
  const uint64_t* costs;
  uint32_t runs = 0, fails_at = UINT32_MAX;
};
bool RunWork(void* context, uint32_t alternative) {
  Work* work = static_cast<Work*>(context);
  now += work->costs[alternative] + (work->runs % 3 == 0 ? 0 : 17000);  // neighbours on the machine
  return work->runs++ < work->fails_at;
}

TEST(Fastest, IsOnlyWhatGainsMoreThanThreePercent) {
  const uint64_t far[] = {1000000, 980000, 940000, 990000}, near[] = {1000000, 980000, 1100000, 975000};
  Work work = {far};
  EXPECT_EQ(FastestOf(4, RunWork, &work, Clock), 2u);
  work = {near};
  EXPECT_EQ(FastestOf(4, RunWork, &work, Clock), 0u);
  const uint64_t slow[] = {1000000000, 500000000};
  work = {slow};
  EXPECT_EQ(FastestOf(2, RunWork, &work, Clock), 1u);
  EXPECT_LT(work.runs, 40u);  // slow layers get the fewest rounds
  EXPECT_EQ(FastestOf(1, RunWork, &work, Clock), 0u);
}

TEST(Fastest, IsTheFirstWhereARunFails) {
  const uint64_t costs[] = {1000000, 100};
  for (const uint32_t fails_at : {0u, 1u, 5u}) {
    Work work = {costs};
    work.fails_at = fails_at;
    EXPECT_EQ(FastestOf(2, RunWork, &work, Clock), 0u);
    EXPECT_EQ(work.runs, fails_at + 1);
  }
}

TEST_F(TuningFile, ChooseTimesOnceAndOnlyTakesWhatIsOffered) {
  const TuningChoice offered[] = {{64, 0}, {32, 0}};
  const uint64_t costs[] = {1000000, 500000};
  Work work = {costs};
  const TuningTask task = {offered, 2, RunWork, &work, [](void*) { return Status{}; }};
  Tuned tuned;
  {
    Tuning tuning;
    tuning.Open(path_.c_str());
    tuning.Choose(Key("key"), task, &tuned);
    EXPECT_EQ(tuned.from, Tuned::From::kTiming);
    EXPECT_TRUE(tuning.Problem().ok()) << tuning.Problem().message;
    EXPECT_NE(tuned.choice.first, 0u);
    const uint32_t runs = work.runs;
    tuning.Choose(Key("key"), task, &tuned);  // prepared again
    EXPECT_EQ(tuned.from, Tuned::From::kTiming);
    EXPECT_EQ(work.runs, runs);
  }
  work.runs = 0;
  {
    Tuning tuning;
    tuning.Open(path_.c_str());
    Tuned again;
    tuning.Choose(Key("key"), task, &again);
    EXPECT_EQ(again.from, Tuned::From::kCache);
    EXPECT_EQ(again.choice.first, tuned.choice.first);
    EXPECT_EQ(work.runs, 0u);
  }
  WriteSealed("tfprune tuning 1\nkey: 48 0\n");  // nobody offers 48
  Tuning tuning;
  tuning.Open(path_.c_str());
  Tuned again;
  tuning.Choose(Key("key"), task, &again);
  EXPECT_EQ(again.from, Tuned::From::kTiming);
  EXPECT_GT(work.runs, 0u);
  EXPECT_NE(again.choice.first, 48u);
}

}  // namespace
}  // namespace tfprune
