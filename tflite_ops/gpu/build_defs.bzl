# SPDX-License-Identifier: Apache-2.0
"""Tests that need an OpenCL device."""

load("//tflite_ops:build_defs.bzl", "tfprune_test")

def opencl_test(name, deps, tags = [], **kwargs):
    """A tfprune_test that runs kernels on the machine's OpenCL device, which PoCL provides where there is no GPU.

    There is no OpenCL driver for the aarch64 that qemu runs, and the drivers' own memory is none of the sanitizers'
    business: such tests run as ordinary tests only."""
    tfprune_test(
        name = name,
        tags = tags + ["opencl"],
        target_compatible_with = ["@platforms//cpu:x86_64"],
        deps = deps + ["//tflite_ops/gpu/testing"],
        **kwargs
    )
