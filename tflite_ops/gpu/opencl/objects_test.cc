// SPDX-License-Identifier: Apache-2.0
// Context, queue, buffer, program and kernel: that they work, and what they say where the driver does not.
#include <string.h>

#include <vector>

#include "tflite_ops/gpu/opencl/buffer.h"
#include "tflite_ops/gpu/opencl/kernel.h"
#include "tflite_ops/gpu/opencl/program.h"
#include "tflite_ops/gpu/opencl/queue.h"
#include "tflite_ops/gpu/testing/test_device.h"

namespace tfprune {
namespace {

const char* const kSource[] = {
    "#ifndef FACTOR\n#error FACTOR is missing\n#endif\n",
    "kernel void Scale(global const float* x, global float* y, int count, float shift, local float* seen) {\n"
    "  int i = get_global_id(0);\n"
    "  seen[get_local_id(0)] = shift;\n"
    "  barrier(CLK_LOCAL_MEM_FENCE);\n"
    "  if (i < count) y[i] = FACTOR * x[i] + seen[0];\n"
    "}\n"};

Status CompileScale(const Context& context, Program* program) {
  return program->Compile(context, {kSource, 2, "-cl-std=CL1.2 -D FACTOR=3.0f"});
}

TEST(Objects, AKernelRunsOverAPartOfABuffer) {
  TestDevice& device = TestDevice::Get();
  const uint32_t alignment = device.device().facts.buffer_alignment_bytes;
  constexpr int kCount = 37;
  const size_t bytes = kCount * sizeof(float);
  std::vector<float> x(kCount), y(kCount, 0.0f);
  for (int i = 0; i < kCount; ++i) x[i] = static_cast<float>(i);
  Buffer in, arena, out;
  ASSERT_OK(in.CreateConstant(device.context(), x.data(), bytes));
  ASSERT_OK(arena.Create(device.context(), alignment + bytes));
  ASSERT_OK(out.CreatePart(arena, alignment, bytes));
  Program program;
  ASSERT_OK(CompileScale(device.context(), &program));
  GpuKernel kernel;
  ASSERT_OK(kernel.Create(program, "Scale"));
  uint32_t most = 0;
  ASSERT_OK(kernel.MaxWorkGroupItems(&most));
  EXPECT_GE(most, 8u);
  ASSERT_OK(kernel.SetBuffer(0, in));
  ASSERT_OK(kernel.SetBuffer(1, out));
  const int32_t count = kCount;
  const float shift = 0.5f;
  ASSERT_OK(kernel.SetInts(2, &count, 1));
  ASSERT_OK(kernel.SetFloats(3, &shift, 1));
  ASSERT_OK(kernel.SetLocal(4, 8 * sizeof(float)));
  const size_t global[] = {40, 1, 1}, local[] = {8, 1, 1};
  ASSERT_OK(device.queue().Run(kernel, global, local));
  ASSERT_OK(device.queue().Read(out, y.data(), bytes));
  for (int i = 0; i < kCount; ++i) EXPECT_EQ(y[i], 3.0f * x[i] + 0.5f);
  // The part is the arena's own memory.
  std::vector<char> whole(alignment + bytes);
  ASSERT_OK(device.queue().Read(arena, whole.data(), whole.size()));
  EXPECT_EQ(memcmp(whole.data() + alignment, y.data(), bytes), 0);
  ASSERT_OK(device.queue().Write(arena, x.data(), bytes));
  ASSERT_OK(device.queue().Finish());
  ASSERT_OK(device.queue().Read(arena, y.data(), bytes));
  EXPECT_EQ(x, y);
}

TEST(Objects, AProgramComesBackFromItsBinary) {
  TestDevice& device = TestDevice::Get();
  Program program, loaded;
  ASSERT_OK(CompileScale(device.context(), &program));
  AlignedArray<char> binary;
  size_t bytes = 0;
  ASSERT_OK(program.Binary(&binary, &bytes));
  ASSERT_GT(bytes, 0u);
  ASSERT_OK(loaded.Load(device.context(), binary.data(), bytes, "-cl-std=CL1.2 -D FACTOR=3.0f"));
  GpuKernel kernel;
  EXPECT_TRUE(kernel.Create(loaded, "Scale").ok());
}

TEST(Objects, ErrorsOfTheCompilerHoldItsLog) {
  const Context& context = TestDevice::Get().context();
  Program program;
  const Status status = program.Compile(context, {kSource, 2, "-cl-std=CL1.2"});
  EXPECT_NE(strstr(status.message, "clBuildProgram failed with CL_BUILD_PROGRAM_FAILURE"), nullptr) << status.message;
  EXPECT_NE(strstr(status.message, "FACTOR is missing"), nullptr) << status.message;
  ASSERT_OK(CompileScale(context, &program));  // the object is not spoilt
  GpuKernel kernel;
  EXPECT_STREQ(kernel.Create(program, "Scalf").message,
               "OpenCL: no kernel Scalf, clCreateKernel failed with CL_INVALID_KERNEL_NAME (-46)");
}

TEST(Objects, WrongArgumentsAndSizesAreErrors) {
  TestDevice& device = TestDevice::Get();
  Program program;
  ASSERT_OK(CompileScale(device.context(), &program));
  GpuKernel kernel;
  ASSERT_OK(kernel.Create(program, "Scale"));
  const int32_t one = 1;
  EXPECT_STREQ(kernel.SetInts(5, &one, 1).message,
               "OpenCL: argument 5 of a kernel was refused, clSetKernelArg failed with CL_INVALID_ARG_INDEX (-49)");
  const size_t global[] = {40, 1, 1}, local[] = {8, 1, 1};
  EXPECT_STREQ(device.queue().Run(kernel, global, local).message,
               "OpenCL: clEnqueueNDRangeKernel failed with CL_INVALID_KERNEL_ARGS (-52)");
}

TEST(Objects, BuffersBeyondTheDeviceAreErrors) {
  const TestDevice& device = TestDevice::Get();
  Device small = device.device();
  small.facts.max_allocation_bytes = 1000;
  snprintf(small.facts.name, sizeof(small.facts.name), "a small device");
  Context context;
  ASSERT_OK(context.Create(device.cl(), small));
  Buffer buffer, other;
  EXPECT_STREQ(buffer.Create(context, 1001).message,
               "OpenCL: a buffer of 1001 bytes is larger than the 1000 that a small device gives at once");
  EXPECT_TRUE(other.Create(context, 1000).ok());
}

// A driver whose functions fail one by one, as one that lost its device does.
TEST(Objects, EveryFailureOfTheDriverIsAnError) {
  const TestDevice& device = TestDevice::Get();
  OpenCl cl = device.cl();
  cl.clCreateBuffer = [](cl_context, cl_mem_flags, size_t, void*, cl_int* code) -> cl_mem {
    *code = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    return nullptr;
  };
  cl.clCreateCommandQueue = [](cl_context, cl_device_id, cl_command_queue_properties, cl_int* code) {
    *code = CL_OUT_OF_HOST_MEMORY;
    return cl_command_queue{};
  };
  cl.clFinish = [](cl_command_queue) -> cl_int { return CL_OUT_OF_RESOURCES; };
  cl.clEnqueueReadBuffer = [](cl_command_queue, cl_mem, cl_bool, size_t, size_t, void*, cl_uint, const cl_event*,
                              cl_event*) -> cl_int { return CL_INVALID_CONTEXT; };
  cl.clBuildProgram = [](cl_program, cl_uint, const cl_device_id*, const char*, void(CL_CALLBACK*)(cl_program, void*),
                         void*) -> cl_int { return CL_OUT_OF_HOST_MEMORY; };
  Context context;
  ASSERT_OK(context.Create(cl, device.device()));
  Buffer buffer;
  EXPECT_STREQ(buffer.Create(context, 64).message,
               "OpenCL: no buffer of 64 bytes, clCreateBuffer failed with CL_MEM_OBJECT_ALLOCATION_FAILURE (-4)");
  Queue none;
  EXPECT_STREQ(none.Create(context).message, "OpenCL: clCreateCommandQueue failed with CL_OUT_OF_HOST_MEMORY (-6)");
  Program program;
  EXPECT_NE(strstr(program.Compile(context, {kSource, 2, ""}).message, "clBuildProgram failed with CL_OUT_OF_HOST"),
            nullptr);
  cl.clCreateCommandQueue = device.cl().clCreateCommandQueue;
  cl.clCreateBuffer = device.cl().clCreateBuffer;
  Queue queue;
  ASSERT_OK(queue.Create(context));
  Buffer real;
  ASSERT_OK(real.Create(context, 64));
  char bytes[64];
  EXPECT_STREQ(queue.Read(real, bytes, 64).message, "OpenCL: clEnqueueReadBuffer failed with CL_INVALID_CONTEXT (-34)");
  EXPECT_STREQ(queue.Finish().message, "OpenCL: clFinish failed with CL_OUT_OF_RESOURCES (-5)");
  cl.clCreateContext = [](const cl_context_properties*, cl_uint, const cl_device_id*,
                          void(CL_CALLBACK*)(const char*, const void*, size_t, void*), void*,
                          cl_int* code) -> cl_context {
    *code = CL_DEVICE_NOT_AVAILABLE;
    return nullptr;
  };
  Context lost;
  EXPECT_STREQ(lost.Create(cl, device.device()).message,
               "OpenCL: clCreateContext failed with CL_DEVICE_NOT_AVAILABLE (-2)");
}

}  // namespace
}  // namespace tfprune
