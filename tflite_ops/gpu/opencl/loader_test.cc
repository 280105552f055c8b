// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/gpu/opencl/loader.h"

#include <gtest/gtest.h>
#include <string.h>

namespace tfprune {
namespace {

bool IsEmpty(const OpenCl& cl) {
  const OpenCl empty;
  return memcmp(&cl, &empty, sizeof(cl)) == 0;
}

TEST(Loader, NamesWhatIsMissingWhereThereIsNoLibrary) {
  const char* names[] = {"libtfprune_no_such_driver.so", "/no/such/folder/libOpenCL.so"};
  OpenCl cl;
  const Status status = LoadOpenClFrom(names, 2, &cl);
  EXPECT_STREQ(status.message,
               "OpenCL: no driver is installed; none of 2 libraries was found, the first is "
               "libtfprune_no_such_driver.so");
  EXPECT_TRUE(IsEmpty(cl));
  EXPECT_FALSE(LoadOpenClFrom(names, 0, &cl).ok());
}

TEST(Loader, NamesTheFunctionThatALibraryLacks) {
  const char* names[] = {"libtfprune_no_such_driver.so", "libm.so.6", "libtfprune_no_such_driver.so"};
  OpenCl cl;
  const Status status = LoadOpenClFrom(names, 3, &cl);
  EXPECT_STREQ(status.message, "OpenCL: the library libm.so.6 has no clGetPlatformIDs, OpenCL 1.2 is needed");
  EXPECT_TRUE(IsEmpty(cl));
}

}  // namespace
}  // namespace tfprune
