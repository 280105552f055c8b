// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/tasks/binary.h"

#include "tflite_ops/gpu/tasks/run_task.h"

namespace tfprune {
namespace {

constexpr Operation kOperations[] = {Operation::kAdd,      Operation::kSubtract,  Operation::kSubtractFrom,
                                     Operation::kMultiply, Operation::kMaximum,   Operation::kMinimum,
                                     Operation::kDivide,   Operation::kDivideInto};

double Compute(Operation operation, double a, double b) {
  switch (operation) {
    case Operation::kAdd:
      return a + b;
    case Operation::kSubtract:
      return a - b;
    case Operation::kSubtractFrom:
      return b - a;
    case Operation::kMultiply:
      return a * b;
    case Operation::kMaximum:
      return std::max(a, b);
    case Operation::kMinimum:
      return std::min(a, b);
    case Operation::kDivide:
      return a / b;
    case Operation::kDivideInto:
      return b / a;
  }
  return NAN;
}

void Check(Operation operation, const ImageShape& a_shape, const ImageShape& b_shape, uint32_t seed, Storage storage) {
  BinarySpec spec;
  spec.operation = operation;
  spec.a = a_shape;
  spec.b = b_shape;
  if (seed % 2 == 0) spec.bounds = {-1.0f, 1.5f};
  Image a = RandomImage(a_shape, seed), b = RandomImage(b_shape, seed + 1);
  // Quotients stay small.
  for (Image* image : {&a, &b}) {
    for (float& value : image->values) value += value < 0 ? -0.5f : 0.5f;
    Store(storage, &image->values);
  }
  std::vector<double> expected;
  for (uint32_t n = 0; n < a_shape.batch; ++n) {
    for (uint32_t y = 0; y < a_shape.height; ++y) {
      for (uint32_t x = 0; x < a_shape.width; ++x) {
        for (uint32_t c = 0; c < a_shape.channels; ++c) {
          const float other = b.at(b_shape.batch == 1 ? 0 : n, b_shape.height == 1 ? 0 : y, b_shape.width == 1 ? 0 : x,
                                   b_shape.channels == 1 ? 0 : c);
          expected.push_back(Clamped(Compute(operation, a.at(n, y, x, c), other), spec.bounds));
        }
      }
    }
  }
  const std::string where = Name(a_shape) + " and " + Name(b_shape) + " seed " + std::to_string(seed);
  const std::vector<double> magnitude(expected.size(), 8.0);
  const DeviceFacts& facts = TestDevice::Get().device().facts;
  Task two, one;
  ASSERT_OK(MakeBinary(facts, storage, spec, &two));
  ExpectNear(RunTask(two, storage, {a, b}, a_shape), expected, magnitude, storage, where);
  ASSERT_OK(MakeBinaryConstant(facts, storage, spec, b.values.data(), &one));
  ExpectNear(RunTask(one, storage, {a}, a_shape), expected, magnitude, storage, where + " constant");
}

TEST(Binary, EveryOperation) {
  uint32_t seed = 1;
  for (const Operation operation : kOperations) {
    for (const Storage storage : kStorages) Check(operation, {2, 3, 5, 7}, {2, 3, 5, 7}, seed++, storage);
  }
}

TEST(Binary, EveryBroadcast) {
  uint32_t seed = 1;
  for (const ImageShape& a :
       {ImageShape{1, 1, 1, 6}, {3, 1, 1, 5}, {2, 1, 4, 3}, {2, 4, 1, 3}, {1, 5, 5, 1}, {2, 3, 7, 9}}) {
    for (const uint32_t batch : {1u, a.batch}) {
      for (const bool pixels : {true, false}) {
        for (const uint32_t channels : {1u, a.channels}) {
          const ImageShape b = {batch, pixels ? a.height : 1, pixels ? a.width : 1, channels};
          Check(Operation::kSubtract, a, b, seed++, Storage::kFloat32);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(Binary, MaximumAndMinimumKeepNan) {
  BinarySpec spec;
  spec.a = spec.b = {1, 1, 4, 1};
  for (const Operation operation : {Operation::kMaximum, Operation::kMinimum}) {
    spec.operation = operation;
    Task task;
    ASSERT_OK(MakeBinary(TestDevice::Get().device().facts, Storage::kFloat32, spec, &task));
    const Image y =
        RunTask(task, Storage::kFloat32, {{spec.a, {NAN, 1.0f, NAN, 1.0f}}, {spec.b, {1.0f, NAN, NAN, 2.0f}}}, spec.a);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(std::isnan(y.values[i])) << i;
    EXPECT_EQ(y.values[3], operation == Operation::kMaximum ? 2.0f : 1.0f);
  }
}

TEST(Binary, ShapesThatDoNotBroadcastAreRefused) {
  Task task;
  for (const ImageShape& b : {ImageShape{2, 4, 4, 3}, {1, 4, 1, 3}, {1, 1, 4, 3}, {1, 4, 4, 2}, {1, 8, 8, 3}}) {
    BinarySpec spec;
    spec.a = {1, 4, 4, 3};
    spec.b = b;
    const Status status = MakeBinary(DeviceFacts(), Storage::kFloat32, spec, &task);
    EXPECT_NE(strstr(status.message, "cannot be broadcast to [1, 4, 4, 3]"), nullptr) << Name(b);
  }
}

}  // namespace
}  // namespace tfprune
