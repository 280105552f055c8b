// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/ops/plain_text.h"

#include <gtest/gtest.h>

#include <string>

namespace tfprune {
namespace {

std::string Plain(std::string text) {
  MakePlain(&text[0]);
  return text;
}

TEST(PlainText, WholeCharactersStay) {
  for (const char* text :
       {"", "plain ~", "\xC3\xA9", "\xC2\xA0", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEF\xBF\xBD",
        "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "caf\xC3\xA9 \xE6\x97\xA5 \xF0\x9F\x98\x80"}) {
    EXPECT_EQ(Plain(text), text);
  }
}

TEST(PlainText, ControlCharactersAreReplaced) {
  EXPECT_EQ(Plain("a\nb\tc\rd\x1B[0m\x7F"), "a?b?c?d?[0m?");
  EXPECT_EQ(Plain("x\xC2\x85y\xC2\x9F"), "x??y??");  // next line and another of C1
}

TEST(PlainText, PartsOfCharactersAreReplaced) {
  EXPECT_EQ(Plain("a\xC3"), "a?");
  EXPECT_EQ(Plain("a\xE6\x97"), "a??");
  EXPECT_EQ(Plain("a\xF0\x9F\x98"), "a???");
  EXPECT_EQ(Plain("\xE6\x97`b"), "??`b");
  EXPECT_EQ(Plain("\xA9z\xFF"), "?z?");
  EXPECT_EQ(Plain("\xC0\xAF"), "??");  // a longer form of '/'
  EXPECT_EQ(Plain("\xE0\x9F\xBF"), "???");
  EXPECT_EQ(Plain("\xED\xA0\x80"), "???");       // half of a pair
  EXPECT_EQ(Plain("\xF4\x90\x80\x80"), "????");  // beyond the last
  EXPECT_EQ(Plain("\xF0\x8F\xBF\xBF"), "????");
}

}  // namespace
}  // namespace tfprune
