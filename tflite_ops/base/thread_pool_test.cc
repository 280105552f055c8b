// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

namespace tfprune {
namespace {

struct Counts {
  std::vector<std::atomic<int>> calls;
  std::vector<std::atomic<int>> inside;  // callers inside each slot now
  std::atomic<bool> shared_slot{false};

  explicit Counts(size_t tasks) : calls(tasks), inside(kMaxThreads) {}
};

void Count(void* context, size_t task, uint32_t slot) {
  Counts* counts = static_cast<Counts*>(context);
  if (counts->inside[slot].fetch_add(1) != 0) counts->shared_slot = true;
  counts->calls[task].fetch_add(1);
  counts->inside[slot].fetch_sub(1);
}

TEST(ThreadPool, EveryTaskRunsOnceAndSlotsAreNotShared) {
  ThreadPool pool;
  for (const uint32_t threads : {1u, 2u, 3u, 8u, 2u, 1000u}) {
    for (const size_t tasks : {0u, 1u, 2u, 7u, 500u}) {
      Counts counts(tasks);
      pool.Run(threads, tasks, Count, &counts);
      for (size_t i = 0; i < tasks; ++i) EXPECT_EQ(counts.calls[i], 1) << threads << " threads, task " << i;
      EXPECT_FALSE(counts.shared_slot);
    }
  }
}

TEST(ThreadPool, SeveralCallersAtOnceAllFinish) {
  ThreadPool pool;
  std::vector<std::thread> callers;
  std::atomic<int> total{0};
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        pool.Run(
            3, 10, [](void* context, size_t, uint32_t) { static_cast<std::atomic<int>*>(context)->fetch_add(1); },
            &total);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(total, 4 * 200 * 10);
}

TEST(ThreadPool, TasksFlushDenormalsAndTheCallerDoesNot) {
  constexpr size_t kTasks = 64;
  struct Work {
    volatile float half = 0.5f, smallest = 1.17549435e-38f, denormal = 1e-39f, two = 2.0f;
    float made[kTasks], read[kTasks];
  } work;
  ThreadPool pool;
  for (const uint32_t threads : {1u, 3u}) {
    pool.Run(
        threads, kTasks,
        [](void* context, size_t task, uint32_t) {
          Work* work = static_cast<Work*>(context);
          work->made[task] = work->smallest * work->half;
          work->read[task] = work->denormal * work->two;
        },
        &work);
    for (size_t i = 0; i < kTasks; ++i) {
      EXPECT_EQ(work.made[i], 0.0f) << threads;
      EXPECT_EQ(work.read[i], 0.0f) << threads;
    }
    EXPECT_GT(work.smallest * work.half, 0.0f);
  }
}

TEST(ThreadPool, AForkedProcessWorksAlone) {
  ThreadPool pool;
  Counts before(8);
  pool.Run(4, 8, Count, &before);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // a child that waits for its parent's workers is killed
    Counts counts(8);
    pool.Run(4, 8, Count, &counts);
    _exit(counts.calls[7] == 1 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(ThreadPool, MembersOfATeamWaitForEachOther) {
  constexpr uint32_t kRounds = 200, kMost = 5;
  struct Board {
    uint32_t arrived[kRounds + 1] = {};
    uint32_t written[kMost] = {};
    uint32_t late = 0, team = 0;
  };
  ThreadPool pool;
  for (const uint32_t threads : {1u, 2u, 5u}) {
    Board board;
    pool.RunTeam(
        threads,
        [](void* context, uint32_t member, uint32_t team) {
          Board* board = static_cast<Board*>(context);
          if (member == 0) board->team = team;
          for (uint32_t round = 1; round <= kRounds; ++round) {
            __atomic_store_n(&board->written[member], round, __ATOMIC_RELAXED);
            __atomic_fetch_add(&board->arrived[round], 1, __ATOMIC_RELEASE);
            WaitUntil(&board->arrived[round], team);
            for (uint32_t other = 0; other < team; ++other) {
              const uint32_t seen = __atomic_load_n(&board->written[other], __ATOMIC_RELAXED);
              if (seen < round) __atomic_fetch_add(&board->late, 1, __ATOMIC_RELAXED);
            }
          }
        },
        &board);
    EXPECT_EQ(board.late, 0u) << threads;
    EXPECT_EQ(board.team, threads);
  }
}

}  // namespace
}  // namespace tfprune
