# SPDX-License-Identifier: Apache-2.0
"""The ABIs of the Android library: one table for platforms, compilers and the archive."""

ABIS = {
    "arm64-v8a": struct(
        cpu = "aarch64",
        target = "aarch64-linux-android",
        runtime = "aarch64",
        copts = ["-mno-outline-atomics"],
    ),
    "armeabi-v7a": struct(
        cpu = "armv7",
        target = "armv7a-linux-androideabi",
        runtime = "arm",
        # File positions and folder entries have 64 bits in both C libraries by their functions of these names.
        copts = [
            "-march=armv7-a",
            "-mthumb",
            "-mfpu=neon",
            "-D_FILE_OFFSET_BITS=64",
        ],
    ),
    "x86_64": struct(
        cpu = "x86_64",
        target = "x86_64-linux-android",
        runtime = "x86_64",
        copts = [],
    ),
}
