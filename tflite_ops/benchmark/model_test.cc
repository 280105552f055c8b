// SPDX-License-Identifier: Apache-2.0
// A model on an invented runtime and delegate, which record what is asked of them and can be told to fail.
#include "tflite_ops/benchmark/model.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace tfprune {
namespace {

struct World {
  int runs = 0, runs_that_work = 1000, threads = 0, delegates = 0, alive = 0, refused_options = 0;
  bool model = true, interpreter = true, prepared = true, delegate = true;
  float input[2] = {0, 0}, output[2] = {1, 2};
  TfLiteType type = kTfLiteFloat32;
  size_t output_bytes = sizeof(output);
  int outputs = 1;
  void (*report)(void*, const char*, va_list) = nullptr;
  void* user = nullptr;
};
World* world = nullptr;
TfLiteDelegate a_delegate;

void ReportError(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  world->report(world->user, format, arguments);
  va_end(arguments);
}

template <typename T>
T* Handle(bool works = true) {
  world->alive += works;
  return works ? reinterpret_cast<T*>(world) : nullptr;
}

template <typename T>
void Delete(T*) {
  --world->alive;
}

Runtime FakeRuntime() {
  Runtime runtime;
  runtime.ModelCreate = [](const void*, size_t) { return Handle<TfLiteModel>(world->model); };
  runtime.ModelDelete = Delete;
  runtime.InterpreterOptionsCreate = [] { return Handle<TfLiteInterpreterOptions>(); };
  runtime.InterpreterOptionsDelete = Delete;
  runtime.InterpreterOptionsSetNumThreads = [](TfLiteInterpreterOptions*, int32_t count) { world->threads = count; };
  runtime.InterpreterOptionsAddDelegate = [](TfLiteInterpreterOptions*, TfLiteDelegate*) { ++world->delegates; };
  runtime.InterpreterOptionsSetErrorReporter = [](TfLiteInterpreterOptions*,
                                                  void (*report)(void*, const char*, va_list),
                                                  void* user) { world->report = report, world->user = user; };
  runtime.InterpreterCreate = [](const TfLiteModel*, const TfLiteInterpreterOptions*) {
    if (!world->interpreter) ReportError("Op builtin_code out of range: %d", 999);
    return Handle<TfLiteInterpreter>(world->interpreter);
  };
  runtime.InterpreterDelete = Delete;
  runtime.InterpreterAllocateTensors = [](TfLiteInterpreter*) {
    if (world->prepared) return kTfLiteOk;
    ReportError("the cause");
    ReportError("what followed");
    ReportError("Node number 3 failed to prepare.");
    return kTfLiteError;
  };
  runtime.InterpreterGetInputTensorCount = [](const TfLiteInterpreter*) { return 1; };
  runtime.InterpreterGetInputTensor = [](const TfLiteInterpreter*, int32_t) {
    return reinterpret_cast<TfLiteTensor*>(world->input);
  };
  runtime.InterpreterGetOutputTensorCount = [](const TfLiteInterpreter* at) {
    return reinterpret_cast<const World*>(at)->outputs;
  };
  runtime.InterpreterGetOutputTensor = [](const TfLiteInterpreter* at, int32_t) {
    return reinterpret_cast<const TfLiteTensor*>(reinterpret_cast<const World*>(at)->output);
  };
  runtime.TensorData = [](const TfLiteTensor* tensor) {
    return const_cast<void*>(reinterpret_cast<const void*>(tensor));
  };
  runtime.TensorByteSize = [](const TfLiteTensor*) { return world->output_bytes; };
  runtime.TensorType = [](const TfLiteTensor*) { return world->type; };
  runtime.TensorName = [](const TfLiteTensor*) { return "x"; };
  runtime.InterpreterInvoke = [](TfLiteInterpreter*) {
    return world->runs++ < world->runs_that_work ? kTfLiteOk : kTfLiteError;
  };
  runtime.CreateXnnpack = [](const void* options) {
    world->threads = options == nullptr ? 0 : *static_cast<const int*>(options);
    ++world->alive;
    return &a_delegate;
  };
  runtime.DeleteXnnpack = Delete;
  return runtime;
}

DelegateLibrary FakeLibrary() {
  DelegateLibrary library;
  library.Create = [](const char* const* keys, const char* const* values, size_t count, void (*report)(const char*)) {
    if (!world->delegate) {
      report((std::string(keys[count - 1]) + " must not be " + values[count - 1]).c_str());
      return static_cast<TfLiteDelegate*>(nullptr);
    }
    ++world->alive;
    return &a_delegate;
  };
  library.Destroy = Delete;
  return library;
}

class ModelTest : public testing::Test {
 protected:
  ModelTest() { world = &world_; }
  ~ModelTest() override { unlink(path_.c_str()); }

  // Reads a file of this content, adds delegates and starts; the first failure.
  Status Open(Model* model, const std::string& content = "a dense file") {
    FILE* const file = fopen(path_.c_str(), "wb");
    fwrite(content.data(), 1, content.size(), file);
    fclose(file);
    TFPRUNE_RETURN_IF_ERROR(model->Read(path_.c_str()));
    TFPRUNE_RETURN_IF_ERROR(model->AddDelegates(runtime_, library_, arguments_));
    return model->Start(arguments_);
  }

  void ExpectRefused(const char* part, const std::string& content = "a dense file") {
    {
      Model model;
      const Status status = Open(&model, content);
      EXPECT_NE(std::string(status.message).find(part), std::string::npos) << "'" << status.message << "'";
    }
    EXPECT_EQ(world_.alive, 0);
  }

  World world_;
  const Runtime runtime_ = FakeRuntime();
  const DelegateLibrary library_ = FakeLibrary();
  Arguments arguments_;
  const std::string path_ = testing::TempDir() + "model_test_" + std::to_string(getpid());
};

TEST_F(ModelTest, RunsOnSeededInputsAndGivesEverythingBack) {
  {
    Model model;
    const Status status = Open(&model);
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_NE(world_.input[0], 0);
    EXPECT_EQ(world_.runs, 1);
    EXPECT_TRUE(model.Invoke().ok());
    EXPECT_EQ(world_.runs, 2);
    EXPECT_FALSE(model.delegated());
    EXPECT_EQ(world_.delegates, 1);  // XNNPACK's
  }
  EXPECT_EQ(world_.alive, 0);
}

TEST_F(ModelTest, TheDelegateIsForFilesWithItsOps) {
  arguments_.delegate = "d.so";
  Model dense, sparse, at_the_end;
  ASSERT_TRUE(Open(&dense, "TTfprunTfprun").ok());
  EXPECT_FALSE(dense.delegated());
  ASSERT_TRUE(Open(&sparse, "xxTTfprunTfpruneConv2Dxx").ok());
  EXPECT_TRUE(sparse.delegated());
  ASSERT_TRUE(Open(&at_the_end, "Tfprune").ok());
  EXPECT_TRUE(at_the_end.delegated());
}

TEST_F(ModelTest, OnAGpuTheDelegateIsForAllFiles) {
  arguments_.delegate = "d.so";
  arguments_.keys[0] = "backend", arguments_.values[0] = "gpu", arguments_.option_count = 1;
  Model dense;
  ASSERT_TRUE(Open(&dense).ok());
  EXPECT_TRUE(dense.delegated());
}

TEST_F(ModelTest, XnnpackGetsTheThreadsAndMayStayAway) {
  arguments_.threads = 3;
  Model threads;
  ASSERT_TRUE(Open(&threads).ok());
  EXPECT_EQ(world_.threads, 3);
  world_.delegates = 0;
  arguments_.xnnpack = false;
  Model without;
  ASSERT_TRUE(Open(&without).ok());
  EXPECT_EQ(world_.delegates, 0);
}

TEST_F(ModelTest, FilesThatAreNoneAreNamed) {
  Model missing, folder;
  EXPECT_NE(std::string(missing.Read("/nonexistent/m.tflite").message).find("/nonexistent/m.tflite: there is no such"),
            std::string::npos);
  EXPECT_NE(std::string(folder.Read("/").message).find("must be a .tflite file"), std::string::npos);
  ExpectRefused("must be a .tflite file", "");
  world_.model = false;
  ExpectRefused("LiteRT takes it for no model");
}

TEST_F(ModelTest, FailuresSayWhatWasReportedFirstAndLast) {
  ExpectRefused("holds tfprune ops; give --delegate=PATH", "Tfprune");
  world_.interpreter = false;
  ExpectRefused("LiteRT cannot load it: Op builtin_code out of range: 999");
  world_.interpreter = true, world_.prepared = false;
  ExpectRefused("LiteRT cannot prepare it: the cause; Node number 3 failed to prepare.");
  world_.prepared = true, world_.runs_that_work = 0;
  ExpectRefused("LiteRT cannot run it and gives no reason");
  world_.type = kTfLiteString;
  ExpectRefused("input `x` must be float32");
}

TEST_F(ModelTest, ADelegateThatRefusesIsQuoted) {
  arguments_.delegate = "d.so";
  arguments_.keys[0] = "arch", arguments_.values[0] = "mmx", arguments_.option_count = 1;
  world_.delegate = false;
  ExpectRefused("arch must not be mmx", "Tfprune");
}

TEST_F(ModelTest, AnswersAreCompared) {
  Model first, second;
  World other;
  ASSERT_TRUE(Open(&first).ok());
  world = &other;
  other.output[1] = 1;
  ASSERT_TRUE(Open(&second).ok());
  double error = -1;
  ASSERT_TRUE(second.Compare(first, &error).ok());
  EXPECT_EQ(error, 0.5);
  ASSERT_TRUE(first.Compare(first, &error).ok());
  EXPECT_EQ(error, 0);
  other.type = kTfLiteString;
  EXPECT_NE(std::string(second.Compare(first, &error).message).find("is not compared"), std::string::npos);
  other.outputs = 2;
  EXPECT_NE(std::string(second.Compare(first, &error).message).find("has other outputs"), std::string::npos);
}

}  // namespace
}  // namespace tfprune
