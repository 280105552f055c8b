# SPDX-License-Identifier: Apache-2.0
"""The ABIs of Android, as platforms with toolchains."""

load("//third_party/c_library:gcc_config.bzl", "gcc_config")

def android_abi(name, cpu, gcc = None, triple = None, include_directories = [], copts = []):
    """A platform `<name>` and the toolchain `<name>_gcc_toolchain` that compiles for it.

    Args:
      name: of the ABI.
      cpu: name of a constraint of @platforms//cpu.
      gcc: label of a cc_toolchain to use; without it, one is made of what follows.
      triple: prefix of the compiler's tools.
      include_directories: where the compiler keeps its own headers.
      copts: what the ABI asks of the compiler.
    """
    constraints = ["@platforms//cpu:" + cpu, "@platforms//os:android"]
    native.platform(name = name, constraint_values = constraints)
    if gcc == None:
        gcc_config(
            name = name + "_gcc_config",
            copts = copts,
            cpu = cpu,
            include_directories = include_directories,
            triple = triple,
        )
        native.filegroup(name = name + "_no_files")
        files = ":" + name + "_no_files"
        native.cc_toolchain(
            name = name + "_gcc",
            all_files = files,
            compiler_files = files,
            dwp_files = files,
            linker_files = files,
            objcopy_files = files,
            strip_files = files,
            toolchain_config = ":" + name + "_gcc_config",
        )
    native.toolchain(
        name = name + "_gcc_toolchain",
        exec_compatible_with = ["@platforms//os:linux"],
        target_compatible_with = constraints,
        toolchain = gcc or ":" + name + "_gcc",
        toolchain_type = "@bazel_tools//tools/cpp:toolchain_type",
    )
