// SPDX-License-Identifier: Apache-2.0
// The schedule alone: every value is played through the arena by name, without arithmetic.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tflite_ops/kernels/chain/chain.h"
#include "tflite_ops/kernels/chain/chain_models.h"
#include "tflite_ops/kernels/chain/random_chains.h"

namespace tfprune {
namespace {

// Input rows that output rows [first, first + rows) read, found by asking every tap.
std::vector<uint32_t> RowsRead(const StageSpec& stage, const TensorSpec& in, uint32_t first, uint32_t rows) {
  std::vector<uint32_t> read;
  if (stage.kind == StageKind::kMean) {
    for (uint32_t row = 0; row < in.height; ++row) read.push_back(row);
    return read;
  }
  const bool window = stage.kind == StageKind::kConv || stage.kind == StageKind::kDepthwise ||
                      stage.kind == StageKind::kAveragePool || stage.kind == StageKind::kMaxPool;
  for (uint32_t row = first; row < first + rows; ++row) {
    for (uint32_t tap = 0; tap < (window ? stage.kernel_h : 1); ++tap) {
      const int64_t y = window ? int64_t{row} * stage.stride_h + tap * stage.dilation_h - stage.shape.pad_top : row;
      if (y >= 0 && y < in.height) read.push_back(static_cast<uint32_t>(y));
    }
  }
  return read;
}

bool Writes(const StageSpec& stage) { return stage.kind != StageKind::kMean && stage.kind != StageKind::kExport; }

// Which value lies at each place of the arena.
class Arena {
 public:
  Arena(const ChainModel& model, const Chain& chain) : model_(model), names_(chain.arena_floats(), 0) {
    for (uint32_t t = 0; t < model.tensors.size(); ++t) {
      offsets_.push_back(0);
      images_.push_back(chain.TensorImage(t, &offsets_.back()));
    }
  }

  void Write(uint32_t tensor, uint32_t row) {
    Visit(tensor, row, [&](size_t place, uint64_t name) { names_[place] = name; });
  }

  // Values of the row that lie where they should.
  bool Holds(uint32_t tensor, uint32_t row) {
    bool holds = true;
    Visit(tensor, row, [&](size_t place, uint64_t name) { holds = holds && names_[place] == name; });
    return holds;
  }

 private:
  template <typename Use>
  void Visit(uint32_t tensor, uint32_t row, Use use) {
    const TensorSpec& spec = model_.tensors[tensor];
    const TiledImage& image = images_[tensor];
    ASSERT_GT(image.slots, 0u);
    for (uint32_t pixel = row * spec.width; pixel < (row + 1) * spec.width; ++pixel) {
      const size_t tile = pixel / image.tile % image.slots;
      for (uint32_t c = 0; c < spec.channels; ++c) {
        const size_t place =
            offsets_[tensor] + tile * spec.channels * image.stride + c * image.stride + pixel % image.tile;
        ASSERT_LT(place + kDepthwiseReach, names_.size() + 1);
        use(place, (uint64_t{tensor + 1} << 48) + uint64_t{c} * spec.height * spec.width + pixel);
      }
    }
  }

  const ChainModel& model_;
  std::vector<TiledImage> images_;
  std::vector<size_t> offsets_;
  std::vector<uint64_t> names_;
};

// Each row of each stage once and in order; every row that a step reads was written and is still there.
void CheckSchedule(const ChainModel& model, Arch arch, const std::string& what) {
  Chain chain;
  const Status status = chain.Prepare(model.Spec(), 1, arch, 2);
  ASSERT_TRUE(status.ok()) << status.message << what;
  Arena arena(model, chain);
  std::vector<uint32_t> done(model.stages.size(), 0);
  for (uint32_t i = 0; i < chain.step_count(); ++i) {
    const Step& step = chain.steps()[i];
    ASSERT_LT(step.stage, model.stages.size()) << what;
    const StageSpec& stage = model.stages[step.stage];
    ASSERT_EQ(step.first, done[step.stage]) << what;
    ASSERT_GT(step.rows, 0u) << what;
    done[step.stage] += step.rows;
    const int inputs = stage.kind == StageKind::kImport ? 0 : stage.kind == StageKind::kAdd || stage.adds ? 2 : 1;
    for (int k = 0; k < inputs; ++k) {
      const uint32_t tensor = stage.inputs[k];
      for (const uint32_t row : RowsRead(stage, model.tensors[tensor], step.first, step.rows)) {
        ASSERT_TRUE(arena.Holds(tensor, row)) << "stage " << step.stage << " row " << row << " " << what;
      }
    }
    if (!Writes(stage)) continue;
    for (uint32_t row = step.first; row < step.first + step.rows; ++row) arena.Write(stage.output, row);
    // Tasks of a step write at the same time: no two rows of it may share a place, even if nobody reads them.
    for (uint32_t row = step.first; row < step.first + step.rows; ++row) {
      ASSERT_TRUE(arena.Holds(stage.output, row)) << "stage " << step.stage << " row " << row << " " << what;
    }
    if (testing::Test::HasFatalFailure()) return;
  }
  for (size_t s = 0; s < model.stages.size(); ++s) {
    const StageSpec& stage = model.stages[s];
    ASSERT_EQ(done[s], model.tensors[Writes(stage) ? stage.output : stage.inputs[0]].height) << what;
  }
}

void CheckOnEveryArch(const ChainModel& model, const std::string& what) {
  for (const Arch arch : {Arch::kSse2, Arch::kAvx2, Arch::kAvx512, Arch::kNeon}) {
    if (IsSupported(arch)) CheckSchedule(model, arch, what + ": " + model.Describe());
  }
}

TEST(Schedule, RandomChains) {
  for (uint32_t seed = 0; seed < 150; ++seed) {
    ChainModel model(seed);
    BuildRandomChain(&model);
    CheckOnEveryArch(model, "seed " + std::to_string(seed));
    if (HasFatalFailure()) return;
  }
}

TEST(Schedule, RowsThatNobodyReadsOverwriteNothing) {
  for (const uint32_t stride : {1u, 2u, 5u, 13u, 40u}) {
    ChainModel model(stride);
    const uint32_t x = model.Import({61, 32, 16});
    const uint32_t wide = model.Pointwise(x, 32);
    const uint32_t cut = model.Depthwise(wide, 1, {3, 3, stride, 2, 1, 1}, Pads());
    model.Pointwise(wide, 4);
    const uint32_t narrow = model.Pointwise(cut, 64);
    const uint32_t padded = model.Conv(narrow, 8, {2, 2, 80, 40, 1, 1}, {2, 0, 2, 0});
    model.Export(narrow);
    model.Export(padded);
    CheckOnEveryArch(model, "stride " + std::to_string(stride));
    if (HasFatalFailure()) return;
  }
}

TEST(Schedule, RandomBlocksInARow) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    ChainModel model(seed);
    uint32_t x = model.Import({20 + seed, 32 - seed % 3, 8});
    for (int block = 0; block < 4; ++block) {
      x = model.Chance(2) ? Bottleneck(&model, x, 8, 1) : InvertedResidual(&model, x, 2, 1, 3);
    }
    model.Mean(x);
    CheckOnEveryArch(model, "seed " + std::to_string(seed));
    if (HasFatalFailure()) return;
  }
}

// Depth first: a chain of pointwise layers over a large image holds a few rows, not the image.
TEST(Schedule, OnlyTheRowsInUseAreKept) {
  if (DetectedArch() == Arch::kReference) GTEST_SKIP() << "the reference has no chains";
  ChainModel model(1);
  const uint32_t side = 256;
  uint32_t x = model.Import({side, side, 32});
  for (int i = 0; i < 3; ++i) x = InvertedResidual(&model, x, 3, 1, 3);
  model.Mean(model.Depthwise(x, 1, {3, 3, 2, 2, 1, 1}, {0, 1, 0, 1}));
  Chain chain;
  ASSERT_TRUE(chain.Prepare(model.Spec(), 1, DetectedArch(), 1).ok());
  size_t whole = 0;
  for (uint32_t t = 0; t + 1 < model.tensors.size(); ++t) whole += model.ValuesOf(t);
  EXPECT_LT(chain.arena_floats(), model.ValuesOf(static_cast<uint32_t>(model.tensors.size() - 1)) + whole / 4);
}

}  // namespace
}  // namespace tfprune
