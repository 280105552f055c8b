# SPDX-License-Identifier: Apache-2.0
"""A compiler of Debian's, such as its aarch64 cross compiler, or an NDK's, as a Bazel C++ toolchain."""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load("@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl", "feature", "flag_group", "flag_set", "tool_path")

_COMPILE = [
    ACTION_NAMES.assemble,
    ACTION_NAMES.preprocess_assemble,
    ACTION_NAMES.c_compile,
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.cpp_header_parsing,
]

_LINK = [
    ACTION_NAMES.cpp_link_executable,
    ACTION_NAMES.cpp_link_dynamic_library,
    ACTION_NAMES.cpp_link_nodeps_dynamic_library,
]

def _flags(name, actions, flags, enabled = True):
    return feature(
        name = name,
        enabled = enabled,
        flag_sets = [flag_set(actions = actions, flag_groups = [flag_group(flags = flags)])],
    )

def _config_impl(ctx):
    tools = {
        "ar": "ar",
        "cpp": "cpp",
        "gcc": "g++",
        "gcov": "gcov",
        "ld": "ld",
        "nm": "nm",
        "objcopy": "objcopy",
        "objdump": "objdump",
        "strip": "strip",
    }
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        toolchain_identifier = ctx.attr.triple,
        host_system_name = "local",
        target_system_name = ctx.attr.triple,
        target_cpu = ctx.attr.cpu,
        target_libc = "glibc",
        compiler = ctx.attr.compiler,
        abi_version = "gcc",
        abi_libc_version = "glibc",
        tool_paths = [
            tool_path(name = name, path = ctx.attr.tools.get(name) or "/usr/bin/%s-%s" % (ctx.attr.triple, tool))
            for name, tool in tools.items()
        ],
        cxx_builtin_include_directories = ctx.attr.include_directories,
        features = [
            feature(name = "supports_pic", enabled = True),
            feature(name = "supports_dynamic_linker", enabled = True),
            feature(name = "opt"),
            feature(name = "dbg"),
            _flags("default_compile", _COMPILE, ctx.attr.copts + (
                ["-fno-canonical-system-headers"] if ctx.attr.compiler == "gcc" else []
            ) + [
                "-fno-omit-frame-pointer",
                "-ffunction-sections",
                "-fdata-sections",
                "-no-canonical-prefixes",
                "-Wno-builtin-macro-redefined",
                "-D__DATE__=\"redacted\"",
                "-D__TIME__=\"redacted\"",
                "-D__TIMESTAMP__=\"redacted\"",
                "-O2",
                "-DNDEBUG",
            ]),
            _flags("default_link", _LINK, ["-no-canonical-prefixes"] + ctx.attr.linkopts),
        ],
    )

gcc_config = rule(
    implementation = _config_impl,
    attrs = {
        "compiler": attr.string(default = "gcc", doc = "gcc or clang."),
        "copts": attr.string_list(doc = "What the processor asks for."),
        "cpu": attr.string(mandatory = True),
        "include_directories": attr.string_list(mandatory = True, doc = "Where the compiler keeps its own headers."),
        "linkopts": attr.string_list(),
        "tools": attr.string_dict(doc = "Paths of the tools that are not those of the prefix, by Bazel's names."),
        "triple": attr.string(mandatory = True, doc = "The prefix of its tools."),
    },
    provides = [CcToolchainConfigInfo],
)
