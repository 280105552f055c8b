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

def oclgrind_test(name, test, tests):
    """Runs GoogleTests of an opencl_test once more under Oclgrind, which finds races and accesses out of bounds.

    Args:
      name: of the test.
      test: label of the opencl_test.
      tests: a GoogleTest filter.
    """
    native.sh_test(
        name = name,
        size = "small",
        srcs = ["//tflite_ops/gpu/testing:under_oclgrind.sh"],
        args = ["$(location %s)" % test, "'--gtest_filter=%s'" % tests],
        data = [test],
        tags = ["opencl"],
        target_compatible_with = ["@platforms//cpu:x86_64"],
    )

def opencl_programs(name, programs):
    """Makes `<name>.inc` with the text of each program, and a test `<program>_compile_test` that compiles it.

    Args:
      name: of the table, for programs.cc.
      programs: a dict from a program's name to its .cl files in order and a list of compiler options that the test
        compiles it with.
    """
    files = depset([file for sources, _ in programs.values() for file in sources]).to_list()
    native.genrule(
        name = name,
        srcs = files,
        outs = [name + ".inc"],
        cmd = "python3 $(location embed.py) " + " ".join([
            program + "=" + ",".join(["$(location %s)" % file for file in sources])
            for program, (sources, _) in programs.items()
        ]) + " > $@",
        tools = ["embed.py"],
    )
    for program, (sources, variants) in programs.items():
        native.sh_test(
            name = program + "_compile_test",
            size = "small",
            srcs = ["compile_test.sh"],
            args = ["$(location %s)" % file for file in sources] + ["--"] + ["'%s'" % options for options in variants],
            data = sources,
            # The machine that builds compiles for the device, whatever the library is built for.
            tags = ["opencl"],
            target_compatible_with = ["@platforms//cpu:x86_64"],
        )
