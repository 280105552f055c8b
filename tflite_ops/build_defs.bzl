# SPDX-License-Identifier: Apache-2.0
"""How the library is compiled: the one table of compiler flags, instruction set by instruction set."""

# The library needs no C++ runtime: see docs/architecture.md.
LIBRARY_COPTS = [
    "-O3",
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
]

ISA_COPTS = {
    "sse2": ["-msse2"],
    "avx2": ["-mavx2", "-mfma", "-mf16c"],
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mf16c"],
    "avx512_vnni": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx512vnni", "-mfma"],
    "neon": [],
    "neon_dotprod": ["-march=armv8.2-a+dotprod"],
    "neon_i8mm": ["-march=armv8.2-a+dotprod+i8mm"],
    "neon_fp16": ["-march=armv8.2-a+fp16"],
}

def tfprune_library(name, copts = [], **kwargs):
    """A cc_library of libtfprune."""
    native.cc_library(name = name, copts = LIBRARY_COPTS + copts, **kwargs)

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
