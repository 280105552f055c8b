// SPDX-License-Identifier: Apache-2.0
// Times the depthwise kernels on the layers of benchmarks/shapes/depthwise.txt, one thread, every supported
// instruction set:
//
//     bazel run //tflite_ops/kernels/depthwise:depthwise_bench -- --benchmark_filter='14 14.*avx2'
//
// `macs` counts the multiply-adds of the layer. "/strip" works on as few channels as stay in the first cache, again and
// again, as a chain does; "/layer" on all channels of the layer. Each benchmark first checks its answer against the
// reference, and as a test a few run once (depthwise_bench_test).
#include <benchmark/benchmark.h>

#include <cmath>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tflite_ops/kernels/depthwise/depthwise.h"

namespace tfprune {
namespace {

constexpr char kShapes[] = "benchmarks/shapes/depthwise.txt";
constexpr size_t kFirstCache = 24 * 1024;  // bytes of planes that stay in it

struct Layer {
  DepthwiseShape shape;
  uint32_t channels;
};

std::vector<float> RandomValues(size_t count) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> value(-1.0f, 1.0f);
  std::vector<float> values(count);
  for (float& one : values) one = value(random);
  return values;
}

bool Agrees(const DepthwiseShape& shape, DepthwiseArgs args) {
  std::vector<float> expected(args.channels * args.out_stride);
  const float* got = args.out;
  args.out = expected.data();
  ReferenceDepthwise(shape, args);
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!(std::fabs(expected[i] - got[i]) <= 1e-4f)) return false;
  }
  return true;
}

void Run(benchmark::State& state, const Layer& layer, Arch arch) {
  const DepthwiseShape& s = layer.shape;
  const size_t in_plane = size_t{s.in_height} * s.in_width, out_plane = size_t{s.out_height} * s.out_width;
  const std::vector<float> in = RandomValues(layer.channels * in_plane + 2 * kDepthwiseReach);
  const std::vector<float> weights = RandomValues(size_t{layer.channels} * s.kernel_h * s.kernel_w);
  const std::vector<float> bias = RandomValues(layer.channels);
  std::vector<float> out(layer.channels * out_plane + kMaxLanes), scratch(DepthwiseScratchFloats(s));
  std::vector<const float*> rows;
  for (uint32_t r = 0; r < s.in_height; ++r) rows.push_back(in.data() + kDepthwiseReach + size_t{r} * s.in_width);
  const DepthwiseArgs args = {
      layer.channels, rows.data(),    in_plane,    0,    s.in_height, out.data(),    out_plane, 0,
      s.out_height,   weights.data(), bias.data(), 0.0f, 6.0f,        scratch.data()};
  const DepthwiseKernel kernel = GetDepthwiseKernel(arch, s);
  kernel.run(s, args);
  if (!Agrees(s, args)) {
    state.SkipWithError("the answer differs from the reference");
    return;
  }
  for (auto _ : state) kernel.run(s, args);
  const double macs = static_cast<double>(layer.channels * out_plane * s.kernel_h * s.kernel_w);
  state.counters["macs"] =
      benchmark::Counter(macs * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

uint32_t PaddingBefore(uint32_t in, uint32_t kernel, uint32_t stride) {
  const uint32_t needed = ((in + stride - 1) / stride - 1) * stride + kernel;
  return needed > in ? (needed - in) / 2 : 0;
}

void Register(const std::string& line, uint32_t size_h, uint32_t size_w, uint32_t channels, uint32_t k, uint32_t s) {
  const DepthwiseShape shape = {size_h, size_w, (size_h + s - 1) / s,        (size_w + s - 1) / s,       k, k, s, s,
                                1,      1,      PaddingBefore(size_h, k, s), PaddingBefore(size_w, k, s)};
  const size_t bytes = sizeof(float) * (size_t{size_h} * size_w + size_t{shape.out_height} * shape.out_width);
  const uint32_t few = bytes < kFirstCache ? static_cast<uint32_t>(kFirstCache / bytes) : 1;
  for (const Arch arch : {Arch::kSse2, Arch::kAvx2, Arch::kAvx512, Arch::kNeon}) {
    if (!IsSupported(arch)) continue;
    const std::string name = line + "/" + GetDepthwiseKernel(arch, shape).name;
    benchmark::RegisterBenchmark((name + "/layer").c_str(), Run, Layer{shape, channels}, arch);
    benchmark::RegisterBenchmark((name + "/strip").c_str(), Run, Layer{shape, few}, arch);
  }
}

// Registers every layer of the shapes file; false where the file cannot be read.
bool RegisterAll() {
  std::ifstream file(kShapes);
  size_t count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    uint32_t height = 0, width = 0, channels = 0, kernel = 0, stride = 0;
    words >> height >> width >> channels >> kernel >> stride;
    Register(line, height, width, channels, kernel, stride);
    ++count;
  }
  return count > 0;
}

}  // namespace
}  // namespace tfprune

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  if (!tfprune::RegisterAll()) return 1;
  return benchmark::RunSpecifiedBenchmarks() > 0 ? 0 : 1;
}
