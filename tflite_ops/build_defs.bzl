# SPDX-License-Identifier: Apache-2.0
"""How the library is compiled: the one table of compiler flags, instruction set by instruction set."""

# The library needs no C++ runtime: see docs/architecture.md.
LIBRARY_COPTS = [
    "-fno-stack-protector",  # its symbols differ between C libraries
] + select({  # the kernels say what is a vector; guessed gathers are slow
    "//tflite_ops:clang": ["-fno-vectorize"],
    "//conditions:default": ["-fno-tree-loop-vectorize"],
}) + [
    "-fomit-frame-pointer",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-fvisibility=hidden",
] + select({
    # Tables that unwind the stack would be a twelfth of the library. A crash report names the place, not its callers.
    "//third_party/c_library:android": [
        "-fno-asynchronous-unwind-tables",
        "-fno-unwind-tables",
    ],
    "//conditions:default": [],
})

# What runs for every value of a tensor or of a file; all else runs once a layer or less, and apps carry it.
_FAST_PACKAGES = [
    "tflite_ops/base",
    "tflite_ops/formats",
    "tflite_ops/kernels",
]

# These kernels say what is unrolled; more of it makes them larger, and mostly takes as many instructions or more.
_ARM_COPTS = [
    "-O2",
    "-funswitch-loops",
]

ISA_COPTS = {
    "sse2": ["-msse2"],
    "avx2": ["-mavx2", "-mfma", "-mf16c"],
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mf16c"],
    "avx512_vnni": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx512vnni", "-mfma"],
    "neon": _ARM_COPTS,
    "neon_dotprod": _ARM_COPTS + ["-march=armv8.2-a+dotprod"],
    "neon_i8mm": _ARM_COPTS + ["-march=armv8.2-a+dotprod+i8mm"],
    "neon_fp16": ["-march=armv8.2-a+fp16"],  # at -O2 a twentieth more instructions
}

def _optimization():
    package = native.package_name()
    fast = [prefix for prefix in _FAST_PACKAGES if package == prefix or package.startswith(prefix + "/")]
    return "-O3" if fast else "-Os"

def tfprune_library(name, copts = [], **kwargs):
    """A cc_library of libtfprune."""
    native.cc_library(name = name, copts = [_optimization()] + LIBRARY_COPTS + copts, **kwargs)

def isa_library(name, isa, **kwargs):
    """A cc_library whose files are compiled for one instruction set of ISA_COPTS."""
    tfprune_library(name = name, copts = ISA_COPTS[isa], **kwargs)

def tfprune_test(name, deps, src = None, **kwargs):
    """A GoogleTest of libtfprune's parts; linked statically, because the library hides its symbols.

    Its source is `src`, or the file of its name."""
    native.cc_test(
        name = name,
        size = "small",
        srcs = [src or name + ".cc"],
        linkopts = ["-pthread"],
        linkstatic = True,
        deps = deps + ["@googletest//:gtest_main"],
        **kwargs
    )
