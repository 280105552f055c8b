# SPDX-License-Identifier: Apache-2.0
"""The ABIs of Android, as platforms with toolchains."""

load("//third_party/c_library:gcc_config.bzl", "gcc_config")

def android_toolchain(name, cpu, **config):
    """A toolchain `<name>` of a compiler for Android.

    Args:
      name: of the toolchain.
      cpu: name of a constraint of @platforms//cpu.
      **config: attributes of gcc_config.
    """
    gcc_config(
        name = name + "_config",
        cpu = cpu,
        **config
    )
    native.filegroup(name = name + "_no_files")
    files = ":" + name + "_no_files"
    native.cc_toolchain(
        name = name + "_compiler",
        all_files = files,
        compiler_files = files,
        dwp_files = files,
        linker_files = files,
        objcopy_files = files,
        strip_files = files,
        toolchain_config = ":" + name + "_config",
    )
    declare_android_toolchain(name, cpu, ":" + name + "_compiler")

def declare_android_toolchain(name, cpu, compiler):
    """Declares that a cc_toolchain compiles for Android on a processor.

    Args:
      name: of the toolchain.
      cpu: name of a constraint of @platforms//cpu.
      compiler: label of the cc_toolchain.
    """
    native.toolchain(
        name = name,
        exec_compatible_with = ["@platforms//os:linux"],
        target_compatible_with = [
            "@platforms//cpu:" + cpu,
            "@platforms//os:android",
        ],
        toolchain = compiler,
        toolchain_type = "@bazel_tools//tools/cpp:toolchain_type",
    )

def android_platform(abi, cpu):
    """A platform of an ABI's name.

    Args:
      abi: Android's name.
      cpu: name of a constraint of @platforms//cpu.
    """
    native.platform(
        name = abi,
        constraint_values = [
            "@platforms//cpu:" + cpu,
            "@platforms//os:android",
        ],
    )
