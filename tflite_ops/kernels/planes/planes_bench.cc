// SPDX-License-Identifier: Apache-2.0
// Times sums, activations, means and pooling, one thread, every supported instruction set:
//
//     bazel run //tflite_ops/kernels/planes:planes_bench -- --benchmark_filter='max_pool.*avx512'
//
// `bytes_per_second` counts what is read and written once. That answers are right is planes_test's business.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "tflite_ops/kernels/planes/planes.h"

namespace tfprune {
namespace {

void CountBytes(benchmark::State& state, size_t floats) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(floats * sizeof(float)));
}

void Add(benchmark::State& state, const PlaneKernels& kernels, size_t count) {
  std::vector<float> a(count, 1.0f), b(count, 2.0f), out(count);
  for (auto _ : state) {
    kernels.add(a.data(), b.data(), count, 0.0f, 6.0f, out.data());
    benchmark::ClobberMemory();
  }
  CountBytes(state, 3 * count);
}

void Mean(benchmark::State& state, const PlaneKernels& kernels, size_t count) {
  constexpr uint32_t kChannels = 64;
  std::vector<float> x(kChannels * count, 1.0f), out(kChannels);
  for (auto _ : state) {
    kernels.mean(x.data(), count, count, kChannels, 0.0f, 6.0f, out.data());
    benchmark::ClobberMemory();
  }
  CountBytes(state, kChannels * count);
}

void Pool(benchmark::State& state, const PlaneKernels& kernels, const PoolShape& shape, bool average) {
  const size_t in = size_t{shape.in_height} * shape.in_width, out = size_t{shape.out_height} * shape.out_width;
  std::vector<float> x(in + kMaxLanes, 1.0f), y(out + kMaxLanes), scratch(PoolScratchFloats(shape));
  const PoolArgs args = {1, x.data(),         in,   0,    shape.in_height, y.data(), out,
                         0, shape.out_height, 0.0f, 6.0f, scratch.data()};
  for (auto _ : state) {
    (average ? kernels.average_pool : kernels.max_pool)(shape, args);
    benchmark::ClobberMemory();
  }
  CountBytes(state, in + out);
}

void Register(const PlaneKernels& kernels) {
  const auto named = [&](const char* what) { return std::string(what) + "/" + kernels.name; };
  const PoolShape stem = {112, 112, 56, 56, 3, 3, 2, 2, 0, 0}, same = {28, 28, 28, 28, 3, 3, 1, 1, 1, 1};
  benchmark::RegisterBenchmark(named("add 2048").c_str(), Add, kernels, 2048);
  benchmark::RegisterBenchmark(named("mean 7x7").c_str(), Mean, kernels, 49);
  benchmark::RegisterBenchmark(named("max_pool 112x112 3x3/2").c_str(), Pool, kernels, stem, false);
  benchmark::RegisterBenchmark(named("average_pool 28x28 3x3/1").c_str(), Pool, kernels, same, true);
}

}  // namespace
}  // namespace tfprune

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  for (const tfprune::Arch arch :
       {tfprune::Arch::kSse2, tfprune::Arch::kAvx2, tfprune::Arch::kAvx512, tfprune::Arch::kNeon}) {
    if (tfprune::IsSupported(arch)) tfprune::Register(tfprune::GetPlaneKernels(arch));
  }
  return benchmark::RunSpecifiedBenchmarks() > 0 ? 0 : 1;
}
