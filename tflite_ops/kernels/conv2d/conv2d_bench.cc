// SPDX-License-Identifier: Apache-2.0
// Times the convolution on the layers of tfprune/mapping/profiling/shapes/layers.txt, every encoding, on one thread:
//
//     bazel run //tflite_ops/kernels/conv2d:conv2d_bench -- --benchmark_filter='14 14 512 512.*'
//
// Counters: `real` counts the multiply-adds of kept weights, `effective` those of the dense layer. Weights are 80 %
// zero. The input stays in the cache between runs, as it does behind the layer that made it. Each benchmark first
// checks its answer against the reference, and as a test all run once (conv2d_bench_test).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "tflite_ops/kernels/conv2d/conv2d.h"
#include "tflite_ops/testing/packed_builder.h"

namespace tfprune {
namespace {

constexpr char kShapes[] = "tfprune/mapping/profiling/shapes/layers.txt";
constexpr double kDensity = 0.2;

struct Case {
  PackedSpec spec;
  ImageSize in;
};

bool Agrees(const Conv2DPlan& plan, const PackedWeights& weights, const std::vector<float>& x,
            const std::vector<float>& y) {
  std::vector<float> expected(y.size());
  ReferenceConv2D(weights, plan.shape(), x.data(), nullptr, expected.data());
  float largest = 0, error = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    largest = std::max(largest, std::fabs(expected[i]));
    error = std::max(error, std::fabs(expected[i] - y[i]));
  }
  return error <= 1e-5f * largest;
}

void Run(benchmark::State& state, const Case& layer, Arch arch) {
  std::mt19937 random(1);
  const Packed packed = BuildPacked(layer.spec, &random);
  PackedWeights weights;
  Conv2DPlan plan;
  if (!ReadPackedWeights(packed.bytes.data(), packed.bytes.size(), &weights).ok() ||
      !plan.Prepare(weights, layer.in, arch, 1).ok()) {
    state.SkipWithError("the layer cannot be prepared");
    return;
  }
  const ImageSize& out = plan.shape().out;
  const size_t pixels = size_t{out.batch} * out.height * out.width;
  std::vector<float> x(size_t{layer.in.batch} * layer.in.height * layer.in.width * weights.in_channels);
  std::vector<float> y(pixels * weights.out_channels);
  std::uniform_real_distribution<float> value(-1.0f, 1.0f);
  for (float& one : x) one = value(random);
  ThreadPool pool;
  Workspace workspace;
  if (!plan.Run(x.data(), nullptr, y.data(), &pool, &workspace) || !Agrees(plan, weights, x, y)) {
    state.SkipWithError("the answer differs from the reference");
    return;
  }
  for (auto _ : state) plan.Run(x.data(), nullptr, y.data(), &pool, &workspace);
  const double runs = static_cast<double>(state.iterations()) * static_cast<double>(pixels);
  state.counters["real"] = benchmark::Counter(runs * weights.value_count, benchmark::Counter::kIsRate);
  state.counters["effective"] =
      benchmark::Counter(runs * weights.out_channels * weights.columns(), benchmark::Counter::kIsRate);
}

// Registers every layer of the shapes file with every group size; false where the file cannot be read.
bool Register() {
  std::ifstream file(kShapes);
  size_t count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string kind;
    Case layer;
    uint32_t kernel = 0, stride = 0;
    words >> kind >> layer.in.height >> layer.in.width >> layer.spec.in_channels >> layer.spec.out_channels >> kernel >>
        stride >> layer.in.batch;
    layer.spec.kernel_h = layer.spec.kernel_w = kernel;
    layer.spec.stride_h = layer.spec.stride_w = stride;
    layer.spec.density = kDensity;
    for (const Encoding encoding : {Encoding::kRowBand, Encoding::kSlidingRow}) {
      for (const uint32_t rows : {1u, 2u, 4u, 8u, 16u}) {
        if (encoding == Encoding::kSlidingRow && rows == 1) continue;
        layer.spec.encoding = encoding;
        layer.spec.group_rows = rows;
        const std::string name =
            line + (encoding == Encoding::kRowBand ? "/row_band/" : "/sliding_row/") + std::to_string(rows);
        benchmark::RegisterBenchmark(name.c_str(), Run, layer, DetectedArch());
        ++count;
      }
    }
    // Blocks of about half of the rows of a band; there are up to three a band, so fewer weights than above.
    for (const Encoding encoding : {Encoding::kBlockRows, Encoding::kBlockColumns}) {
      const bool rows = encoding == Encoding::kBlockRows;
      layer.spec.encoding = encoding;
      layer.spec.group_rows = rows ? std::min(kMaxBlockRows, layer.spec.out_channels) : 1;
      layer.spec.band_rows = kMaxBandRows;
      benchmark::RegisterBenchmark((line + (rows ? "/block_rows" : "/block_columns")).c_str(), Run, layer,
                                   DetectedArch());
      ++count;
    }
  }
  return count > 0;
}

}  // namespace
}  // namespace tfprune

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  if (!tfprune::Register()) return 1;
  // A benchmark that found a wrong answer reports an error; the count below is of those that ran.
  return benchmark::RunSpecifiedBenchmarks() > 0 ? 0 : 1;
}
