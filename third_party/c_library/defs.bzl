# SPDX-License-Identifier: Apache-2.0
"""Shared libraries and programs that import functions of the C library only: one file runs on Linux and on Android."""

_STUBS = [
    "//third_party/c_library:libc.so",
    "//third_party/c_library:libm.so",
    "//third_party/c_library:libdl.so",
]

_COMMON_LINKOPTS = [
    "-Wl,--as-needed",
    "-Wl,--gc-sections",
    "-Wl,-z,defs",
    "-Wl,-z,noexecstack",
    "-Wl,-z,relro,-z,now",
]

_HOST_LINKOPTS = ["-nodefaultlibs", "-lc", "-lm", "-lpthread", "-ldl", "-lgcc"]
_STUB_LINKOPTS = (["-nostdlib", "-Wl,-z,max-page-size=16384"] +
                  ["$(location %s)" % stub for stub in _STUBS] + ["-lgcc"])

def stub_library(stem):
    """Makes `<stem>.so` of the target with one empty function for each of its symbols in android_api24_symbols.txt.

    Args:
      stem: `libc`, `libm` or `libdl`; the library's soname is `<stem>.so`, as on Android.
    """
    native.genrule(
        name = stem + "_stub_source",
        srcs = ["//third_party:android_api24_symbols.txt"],
        outs = [stem + "_stub.cc"],
        cmd = "awk '$$1 == \"%s.so\" { print \"extern \\\"C\\\" void \" $$2 \"() {}\" }' $< > $@" % stem,
    )
    native.cc_binary(
        name = stem + ".so",
        srcs = [stem + "_stub.cc"],
        copts = [
            "-w",
            "-ffreestanding",
            "-fno-builtin",
        ],
        linkopts = [
            "-nostdlib",
            "-Wl,-soname,%s.so" % stem,
            "-Wl,-z,max-page-size=16384",
        ],
        linkshared = True,
        linkstatic = True,
    )

def c_only_shared_library(name, version_script, deps, **kwargs):
    """A shared library that needs no C++ runtime and exports only what its version script names.

    For Linux it links against glibc. For Android it links against stubs of Android's libraries with 16 KB pages: a
    function outside android_api24_symbols.txt is a link error.

    Args:
      name: file name of the library, ending in `.so`.
      version_script: label of the linker's version script.
      deps: `cc_library` targets whose code goes in whole.
      **kwargs: passed on to `cc_binary`.
    """
    script = ["-Wl,--version-script=$(location %s)" % version_script]
    native.cc_binary(
        name = name,
        linkshared = True,
        linkstatic = True,
        additional_linker_inputs = [version_script] + select({
            "//third_party/c_library:android": _STUBS,
            "//conditions:default": [],
        }),
        linkopts = script + _COMMON_LINKOPTS + select({
            "//third_party/c_library:android": _STUB_LINKOPTS,
            "//conditions:default": _HOST_LINKOPTS,
        }) + ["-Wl,-soname,%s" % name],
        deps = deps,
        **kwargs
    )

def c_only_program(name, srcs, deps, **kwargs):
    """A program that needs no C++ runtime.

    For Android it links as c_only_shared_library does, asks for Android's loader, and starts without the start files
    of glibc, so that Linux runs it too, through the loader of glibc.

    Args:
      name: file name of the program.
      srcs: its own source files.
      deps: `cc_library` targets.
      **kwargs: passed on to `cc_binary`.
    """
    native.cc_binary(
        name = name,
        srcs = srcs + select({
            "//third_party/c_library:android": ["//third_party/c_library:program_start.cc"],
            "//conditions:default": [],
        }),
        linkstatic = True,
        additional_linker_inputs = select({
            "//third_party/c_library:android": _STUBS,
            "//conditions:default": [],
        }),
        linkopts = _COMMON_LINKOPTS + select({
            "//third_party/c_library:android": _STUB_LINKOPTS + [
                "-pie",
                "-Wl,--dynamic-linker=/system/bin/linker64",
            ],
            "//conditions:default": _HOST_LINKOPTS,
        }),
        deps = deps,
        **kwargs
    )
