// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/tasks/depth_to_space.h"

namespace tfprune {

ImageShape DepthToSpaceSpec::out() const {
  if (to_space) return {in.batch, in.height * block, in.width * block, in.channels / (block * block)};
  return {in.batch, in.height / block, in.width / block, in.channels * block * block};
}

Status MakeDepthToSpace(const DeviceFacts& facts, Storage storage, const DepthToSpaceSpec& spec, Task* task) {
  const char* const name = spec.to_space ? "depth to space" : "space to depth";
  const ImageShape& in = spec.in;
  TFPRUNE_RETURN_IF_ERROR(CheckImage(name, in));
  const bool small = spec.block >= 1 && spec.block <= DepthToSpaceSpec::kMostBlock;
  const bool fits = small && (spec.to_space ? in.channels % (spec.block * spec.block) == 0
                                            : in.height % spec.block == 0 && in.width % spec.block == 0);
  if (!fits) {
    return Error("gpu %s: [%u, %u, %u, %u] has no whole blocks of %u", name, in.batch, in.height, in.width, in.channels,
                 spec.block);
  }
  // Each of its sizes is a part of in.values().
  const ImageShape out = spec.out();
  TFPRUNE_RETURN_IF_ERROR(CheckImage(name, out));
  if (task == nullptr) return {};
  const Planes from(in), to(out);
  task->program = "depth_to_space";
  task->kernel = "DepthToSpace";
  task->SetOptions(storage, spec.to_space ? " -D TO_SPACE=1" : " -D TO_SPACE=0");
  task->AddTensor(0);
  task->AddTensor(1);
  task->AddInt4(in.height, in.width, from.channel_stride, from.image_stride);
  task->AddInt4(out.height, out.width, to.channel_stride, to.image_stride);
  task->AddInt(to.planes);
  task->AddInt(to.plane_values);
  task->AddInt4(spec.to_space ? out.channels : in.channels, spec.block, 0, 0);
  task->SetItems(facts, size_t{to.planes} * to.blocks(), 1, out.batch);
  return {};
}

}  // namespace tfprune
