# SPDX-License-Identifier: Apache-2.0
"""Module extensions for Bazel 7 and later; Bazel 4.2.3 never loads this file."""

load("//third_party/android:ndk.bzl", "android_ndk")
load("//third_party:repositories.bzl", "java_repositories", "jni_headers", "opencl_headers", "tflite_headers")

def _tflite_impl(_ctx):
    tflite_headers(name = "tflite_headers")

tflite = module_extension(implementation = _tflite_impl)

def _opencl_impl(_ctx):
    opencl_headers(name = "opencl_headers")

opencl = module_extension(implementation = _opencl_impl)

def _java_impl(_ctx):
    java_repositories()
    jni_headers(name = "jni_headers")

java = module_extension(implementation = _java_impl)

def _ndk_impl(_ctx):
    android_ndk(name = "android_ndk")

ndk = module_extension(implementation = _ndk_impl)
