#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs JUnit tests with the folder of a native library on Java's library path.
# Usage: run_junit.sh LIBRARY CLASSPATH CLASS...
set -eu
library=$1 classpath=$2
shift 2
java=$(readlink -f "$(command -v java)")
# OpenCL on a processor brings LLVM, which takes the signals that the virtual machine lives by: libjsig keeps both.
LD_PRELOAD=$(dirname "$java")/../lib/libjsig.so
export LD_PRELOAD
# -Xcheck:jni stops at wrong uses of JNI. The heap is in memory from the start, so that what grows is native.
exec "$java" -Xcheck:jni -Xms64m -Xmx64m -XX:+AlwaysPreTouch -XX:+UseSerialGC \
  "-Djava.library.path=$(dirname "$library")" -cp "$classpath" org.junit.runner.JUnitCore "$@"
