// SPDX-License-Identifier: Apache-2.0
// Work-groups and layouts from facts alone, without a device.
#include "tflite_ops/gpu/tasks/task.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tfprune {
namespace {

DeviceFacts Facts(uint32_t items, uint32_t along, uint64_t local_bytes) {
  DeviceFacts facts;
  facts.max_work_group_items = items;
  facts.max_work_group_size[0] = along;
  facts.local_memory_bytes = local_bytes;
  return facts;
}

TEST(Task, GroupsAreWholeAndWithinTheDevicesLimits) {
  for (const uint32_t items : {1u, 3u, 16u, 100u, 256u, 1024u}) {
    for (const uint32_t along : {1u, 48u, 1024u}) {
      for (const size_t work : {1, 63, 64, 65, 1000}) {
        Task task;
        task.SetItems(Facts(items, along, 32768), work, 3, 2);
        EXPECT_LE(task.local[0], std::min({items, along, 64u}));
        EXPECT_GT(task.local[0] * 2, std::min({items, along, 64u}));
        EXPECT_EQ(task.local[0] & (task.local[0] - 1), 0u);
        EXPECT_EQ(task.global[0] % task.local[0], 0u);
        EXPECT_GE(task.global[0], work);
        EXPECT_LT(task.global[0], work + task.local[0]);
        EXPECT_EQ(task.global[1], 3u);
        EXPECT_EQ(task.global[2], 2u);
      }
    }
  }
}

TEST(Task, ReductionsFitWorkAndLocalMemory) {
  Task task;
  task.SetReduction(Facts(256, 256, 32768), 1000, 8, 5, 2);
  EXPECT_EQ(task.local[0], 64u);
  EXPECT_EQ(task.global[0], 64u);
  task.SetReduction(Facts(256, 256, 32768), 20, 8, 5, 2);
  EXPECT_EQ(task.local[0], 16u);
  task.SetReduction(Facts(256, 256, 512), 1000, 8, 5, 2);
  EXPECT_EQ(task.local[0], 16u);  // 16 * 8 floats are 512 bytes
  task.SetReduction(Facts(256, 256, 0), 0, 8, 5, 2);
  EXPECT_EQ(task.local[0], 1u);
  EXPECT_TRUE(task.reduces);
}

TEST(Planes, HaveRoomForWholeBlocks) {
  const Planes image({2, 3, 5, 7});
  EXPECT_EQ(image.planes, 7u);
  EXPECT_EQ(image.plane_values, 15u);
  EXPECT_EQ(image.channel_stride, 16u);
  EXPECT_EQ(image.image_stride, 7u * 16);
  EXPECT_EQ(image.values, 2u * 7 * 16);
  const Planes pixel({2, 1, 1, 7});
  EXPECT_EQ(pixel.planes, 1u);
  EXPECT_EQ(pixel.plane_values, 7u);
  EXPECT_EQ(pixel.channel_stride, 1u);
  EXPECT_EQ(pixel.image_stride, 8u);
  EXPECT_EQ(pixel.values, 16u);
}

}  // namespace
}  // namespace tfprune
